//! Low-rank adapters (Hu et al. 2021, arXiv 2106.09685): beside a matrix W two small ones, so that
//! a product is `W x + scale * B (A x)`. They lie in directories of PEFT and in files of llama.cpp.

mod forms;

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use blocks::Tensor;
use model::{Part, WeightSpec};

use crate::canon::Change;
use crate::directory::{Directory, Share};
use crate::heads::Heads;
use crate::names::{self, Style};
use crate::{Bound, WeightError};

/// An adapter whose files are open.
#[derive(Debug)]
pub struct Adapter {
    path: PathBuf,
    style: Style,
    /// The architecture that a GGUF file was made for; PEFT's say nothing that can be relied on.
    architecture: Option<String>,
    directory: Directory,
    alpha: f32,
    rank: Rank,
    scale: f32,
}

/// What alpha is divided by.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rank {
    /// The rank of each pair.
    OfPair,
    /// A rank that every pair has.
    All(u64),
    /// Its root.
    Root(u64),
}

/// Two matrices of an adapter beside one of the model.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The adapter's number.
    pub adapter: usize,
    /// Which of the wanted parts they stand beside.
    pub of: usize,
    /// (rank, input width)
    pub a: Bound,
    /// (output width, rank)
    pub b: Bound,
    /// Factor on their product.
    pub scale: f32,
}

/// The model that an adapter is laid over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base<'a> {
    pub style: Style,
    /// The architecture as its GGUF file says it, or those that one might.
    pub architectures: &'a [&'a str],
    /// Heads of its queries, where all layers have as many.
    pub heads: Option<u32>,
}

/// A part's place in an adapter: A, B, and the rows of B that are its own.
struct Place {
    a: usize,
    b: usize,
    rows: Range<usize>,
    total: usize,
}

/// Rows of the model's parts.
type Sizes = HashMap<(Part, Option<u32>), usize>;

/// Tables whose rows are looked up, not multiplied.
const TABLES: [Part; 5] =
    [Part::Embed, Part::LayerEmbed, Part::Positions, Part::MemoryTable, Part::MemoryIds];

impl Adapter {
    /// Opens a GGUF adapter or a directory that PEFT wrote; `scale` is a factor on all of it.
    ///
    /// # Errors
    /// Where a file cannot be read, is damaged, is no adapter, or asks for what is not supported.
    pub fn open(path: &Path, scale: f32) -> Result<Adapter, WeightError> {
        forms::open(path, scale)
    }

    /// The path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Alpha: an adapter is multiplied by it and divided by its rank.
    pub fn alpha(&self) -> f32 {
        self.alpha
    }

    /// The factor that the user puts on it.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// Bytes of its tensors' file.
    pub fn file_bytes(&self) -> u64 {
        self.directory.file_bytes()
    }

    /// The pairs beside the wanted parts; `nth` is this adapter's number.
    pub(crate) fn pairs(
        &self,
        nth: usize,
        base: Base<'_>,
        wanted: &[WeightSpec],
    ) -> Result<Vec<Pair>, WeightError> {
        self.made_for(base)?;
        let sizes: Sizes = wanted.iter().map(|w| ((w.part, w.layer), w.rows as usize)).collect();
        let mut used = vec![false; self.directory.tensors().len()];
        let mut pairs = Vec::new();
        for (of, spec) in wanted.iter().enumerate() {
            if spec.expert.is_some() || TABLES.contains(&spec.part) {
                continue;
            }
            let Some(place) = self.find(spec, &sizes)? else { continue };
            (used[place.a], used[place.b]) = (true, true);
            let heads = self.order(base, spec, &sizes, place.b)?;
            pairs.push(self.pair(nth, of, spec, &place, heads)?);
        }
        let mut spare = self.directory.tensors().iter().zip(&used).filter(|(_, used)| !**used);
        match spare.next() {
            None if pairs.is_empty() => Err(self.foreign("there is no tensor in it".to_owned())),
            None => Ok(pairs),
            Some((tensor, _)) => Err(WeightError::Unfit {
                file: self.directory.file_of(tensor).to_owned(),
                tensor: tensor.name.clone(),
                count: 1 + spare.count(),
            }),
        }
    }

    /// A matrix where it lies in the file.
    pub(crate) fn load(&self, bound: &Bound) -> Result<Tensor, WeightError> {
        self.directory.load(bound)
    }

    /// Refuses a model of another architecture.
    fn made_for(&self, base: Base<'_>) -> Result<(), WeightError> {
        let Some(own) = self.architecture.as_deref() else { return Ok(()) };
        if base.architectures.contains(&own) {
            return Ok(());
        }
        let theirs = base.architectures[0];
        Err(self.foreign(format!(
            "the adapter was made for the architecture `{own}`, the model is `{theirs}`; use the \
             model that it was made for"
        )))
    }

    /// How B's rows come into the model's order, where model and adapter are not of the same
    /// format and GGUF's converter reorders them.
    fn order(
        &self,
        base: Base<'_>,
        spec: &WeightSpec,
        sizes: &Sizes,
        b: usize,
    ) -> Result<Option<Heads>, WeightError> {
        let WeightSpec { part, layer, .. } = *spec;
        let gguf = base.architectures[0];
        let refused = |why: &str| {
            let tensor = &self.directory.tensors()[b].name;
            Err(self.foreign(format!(
                "tensor `{tensor}` has its rows in another order than the model, as GGUF files of \
                 `{gguf}` have{why}; convert the adapter to the model's format"
            )))
        };
        if self.style == base.style {
            return Ok(None);
        }
        if names::is_tiled(gguf, part) {
            return refused("");
        }
        if !names::is_reordered(gguf, part) {
            return Ok(None);
        }
        // Heads of keys are as wide as those of queries.
        let rows = sizes.get(&(Part::Q, layer)).copied().unwrap_or_default();
        let heads = base.heads.map_or(0, |heads| heads as usize);
        let width = rows.checked_div(heads).unwrap_or_default();
        let rows = spec.rows as usize;
        if width == 0 || !width.is_multiple_of(2) || !rows.is_multiple_of(width) {
            return refused(&format!(", and heads of {width} rows cannot be put into order"));
        }
        Ok(Some(Heads { width, to: base.style }))
    }

    /// Finds a part's pair: alone, or among others that are fused in one matrix. The height of B
    /// tells the two apart.
    fn find(&self, spec: &WeightSpec, sizes: &Sizes) -> Result<Option<Place>, WeightError> {
        let (WeightSpec { part, layer, .. }, rows) = (*spec, spec.rows as usize);
        let size = |part: &Part| sizes.get(&(*part, layer)).copied().unwrap_or_default();
        let fused = names::fused(self.style, part, layer).map(|(name, parts)| {
            let before = parts.iter().take_while(|known| **known != part);
            let first: usize = before.map(size).sum();
            (name, first..first + rows, parts.iter().map(size).sum())
        });
        let alone = names::names(self.style, part, layer).map(|name| (name, 0..rows, rows));
        let mut wrong = None;
        for (name, rows, total) in fused.chain(alone) {
            let Some([a, b]) = self.spelled(&name) else { continue };
            let (a, b) = match (self.directory.find(&a), self.directory.find(&b)) {
                (None, None) => continue,
                (Some(a), Some(b)) => (a, b),
                (found, _) => {
                    let (file, tensor) = (self.directory.file(), found.map_or(a, |_| b));
                    return Err(WeightError::Missing { file, tensor });
                }
            };
            let place = Place { a, b, rows, total };
            match self.directory.tensors()[b].shape.first() {
                Some(&height) if height == total as u64 => return Ok(Some(place)),
                _ => wrong = Some(place),
            }
        }
        // The shape is refused with both numbers when the pair is made.
        Ok(wrong)
    }

    /// The names of the pair beside a tensor.
    fn spelled(&self, name: &str) -> Option<[String; 2]> {
        match self.style {
            Style::Gguf => Some(["a", "b"].map(|which| format!("{name}.lora_{which}"))),
            Style::HuggingFace => {
                let module = name.strip_suffix(".weight")?;
                let spell = |which| format!("base_model.model.{module}.lora_{which}.weight");
                Some(["A", "B"].map(spell))
            }
        }
    }

    fn pair(
        &self,
        nth: usize,
        of: usize,
        spec: &WeightSpec,
        place: &Place,
        heads: Option<Heads>,
    ) -> Result<Pair, WeightError> {
        let tensors = self.directory.tensors();
        let (a, b) = (&tensors[place.a], &tensors[place.b]);
        let rank = match self.rank {
            Rank::OfPair => a.shape.first().copied().unwrap_or_default(),
            Rank::All(rank) | Rank::Root(rank) => rank,
        };
        let (cols, total) = (u64::from(spec.cols), place.total as u64);
        for (tensor, expected) in [(a, [rank, cols]), (b, [total, rank])] {
            if tensor.shape != expected || rank == 0 {
                return Err(self.foreign(format!(
                    "tensor `{}` has the shape {:?} where the model asks for {expected:?}; use the \
                     model that the adapter was made for",
                    tensor.name, tensor.shape
                )));
            }
        }
        let bound = |tensor: usize, rows: usize, cols: u64, share| {
            let info = &tensors[tensor];
            let kind = info.kind.ok_or_else(|| self.directory.no_weights(info))?;
            let (rows, cols) = (rows as u32, cols as u32);
            let spec = WeightSpec { part: spec.part, layer: spec.layer, expert: None, rows, cols };
            let (name, change, adapter) = (info.name.clone(), Change::None, Some(nth));
            Ok::<_, WeightError>(Bound { spec, kind, name, tensor, share, change, adapter })
        };
        let whole = place.rows.len() == place.total;
        let share = match heads {
            Some(heads) => Share::Reordered(place.rows.clone(), heads),
            None if whole => Share::Whole,
            None => Share::Rows(place.rows.clone()),
        };
        let a = bound(place.a, rank as usize, cols, Share::Whole)?;
        let b = bound(place.b, place.rows.len(), rank, share)?;
        let divisor = match self.rank {
            Rank::OfPair | Rank::All(_) => rank as f32,
            Rank::Root(_) => (rank as f32).sqrt(),
        };
        // llama.cpp takes an alpha that is absent or nothing for the rank.
        let absent = self.alpha == 0.0 && self.style == Style::Gguf;
        let scale = self.scale * if absent { 1.0 } else { self.alpha / divisor };
        Ok(Pair { adapter: nth, of, a, b, scale })
    }

    fn foreign(&self, what: String) -> WeightError {
        WeightError::foreign(&self.path.display().to_string(), what)
    }
}
