//! How a test is cut into steps.

use super::Test;

/// Tokens of one sequence that follow each other in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub sequence: u32,
    /// The position of the first.
    pub first: u32,
    pub count: u32,
    /// Whether the last one gives logits.
    pub output: bool,
}

impl Test {
    /// The steps, of `chunk` tokens at most: the prompts of all sequences, one after another, then
    /// in each step a token of every sequence.
    pub fn steps(&self, chunk: usize) -> Vec<Vec<Span>> {
        let mut steps: Vec<Vec<Span>> = Vec::new();
        let (mut room, end) = (0, self.depth + self.prompt);
        for sequence in 0..self.parallel {
            let mut first = self.depth;
            while first < end {
                if room == 0 {
                    steps.push(Vec::new());
                    room = chunk as u32;
                }
                let count = room.min(end - first);
                let span = Span { sequence, first, count, output: first + count == end };
                steps.last_mut().expect("one was begun").push(span);
                (first, room) = (first + count, room - count);
            }
        }
        let token = |first| {
            let span = move |sequence| Span { sequence, first, count: 1, output: true };
            (0..self.parallel).map(span).collect()
        };
        steps.extend((end..end + self.generated).map(token));
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_in_one_step_and_ends_give_logits() {
        let test = Test { prompt: 5, generated: 2, depth: 3, parallel: 3 };
        let steps = test.steps(7);
        let rows = |step: &Vec<Span>| step.iter().map(|span| span.count).sum::<u32>();
        assert_eq!(steps.iter().map(rows).collect::<Vec<_>>(), [7, 7, 1, 3, 3]);
        for sequence in 0..3 {
            let spans = || steps.iter().flatten().filter(move |span| span.sequence == sequence);
            let positions = spans().flat_map(|span| span.first..span.first + span.count);
            assert_eq!(positions.collect::<Vec<_>>(), (3..10).collect::<Vec<_>>());
            let outputs = spans().filter(|span| span.output).map(|span| span.first + span.count);
            assert_eq!(outputs.collect::<Vec<_>>(), [8, 9, 10]);
        }
    }
}
