//! Sums of losses and divergences.

/// Losses of predictions: negative logarithms of probabilities.
#[derive(Default)]
pub struct Losses {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Losses {
    /// Adds a prediction by the logarithm of its probability.
    pub fn add(&mut self, log_probability: f32) {
        let loss = -f64::from(log_probability);
        self.count += 1.0;
        self.sum += loss;
        self.squares += loss * loss;
    }

    /// The perplexity and the deviation of its estimate.
    pub fn perplexity(&self) -> (f64, f64) {
        let mean = self.sum / self.count;
        let variance = (self.squares / self.count - mean * mean).max(0.0);
        (mean.exp(), mean.exp() * (variance / (self.count - 1.0).max(1.0)).sqrt())
    }
}

/// Divergences of two models' predictions.
#[derive(Default)]
pub struct Distances {
    /// Kullback-Leibler divergences of the model from the base, in nats.
    divergences: Vec<f64>,
    same_top: usize,
}

impl Distances {
    /// Adds a position, given both models' logarithms of probabilities.
    pub fn add(&mut self, base: &[f32], model: &[f32]) {
        let term = |(&base, &model): (&f32, &f32)| match f64::from(base) {
            base if base == f64::NEG_INFINITY => 0.0,
            base => base.exp() * (base - f64::from(model)),
        };
        self.divergences.push(base.iter().zip(model).map(term).sum());
        self.same_top += usize::from(top(base) == top(model));
    }

    /// The divergences' summary by name.
    pub fn values(&self) -> Vec<(&'static str, f64)> {
        let mut sorted = self.divergences.clone();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len() as f64;
        let mean = sorted.iter().sum::<f64>() / count;
        let variance = sorted.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / count;
        vec![
            ("mean KL", mean),
            ("mean KL +/-", (variance / (count - 1.0).max(1.0)).sqrt()),
            ("median KL", quantile(&sorted, 0.5)),
            ("99% KL", quantile(&sorted, 0.99)),
            ("99.9% KL", quantile(&sorted, 0.999)),
            ("maximum KL", quantile(&sorted, 1.0)),
        ]
    }

    /// The share of positions where both models find the same token likeliest.
    pub fn same_top(&self) -> f64 {
        self.same_top as f64 / self.divergences.len() as f64
    }
}

/// Logarithms of the probabilities that logits stand for.
pub fn log_softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
    let log_sum = f64::from(largest) + sum.ln();
    logits.iter().map(|&logit| (f64::from(logit) - log_sum) as f32).collect()
}

/// The index of the largest value, the first of equals.
fn top(values: &[f32]) -> usize {
    let mut best = 0;
    for (at, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = at;
        }
    }
    best
}

/// The value below which a share of sorted values lies, between neighbours by proportion.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = share * last as f64;
    let (low, part) = (at as usize, at.fract());
    sorted[low] + part * (sorted[(low + 1).min(last)] - sorted[low])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_odds_are_a_perplexity_of_the_number_of_choices() {
        let mut losses = Losses::default();
        (0..10).for_each(|_| losses.add(log_softmax(&[3.0; 8])[2]));
        let (ppl, deviation) = losses.perplexity();
        assert!((ppl - 8.0).abs() < 1e-5 && deviation < 1e-3, "{ppl} {deviation}");
    }

    #[test]
    fn a_model_is_at_no_distance_from_itself() {
        let mut distances = Distances::default();
        let odds = log_softmax(&[1.0, 2.0, f32::NEG_INFINITY]);
        distances.add(&odds, &odds);
        assert!(distances.values().iter().all(|(_, value)| *value == 0.0));
        assert_eq!(distances.same_top(), 1.0);
    }

    #[test]
    fn the_divergence_of_two_coins_is_known() {
        let mut distances = Distances::default();
        let coin = |p: f32| [p.ln(), (1.0 - p).ln()];
        distances.add(&coin(0.5), &coin(0.25));
        let expected = 0.5 * (2.0f64).ln() + 0.5 * (2.0f64 / 3.0).ln();
        assert!((distances.values()[0].1 - expected).abs() < 1e-6);
        assert_eq!(distances.same_top(), 0.0);
    }
}
