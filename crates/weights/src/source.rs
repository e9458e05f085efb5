//! An opened model: metadata and a directory of tensors, mapped, nothing read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blocks::{Bytes, Tensor};
use model::{Meta, WeightSpec};

use crate::adapter::{Adapter, Base};
use crate::canon::Origin;
use crate::directory::Directory;
use crate::hf::{self, Config};
use crate::names::{self, Style};
use crate::{Bound, Container, Gguf, Pair, SafeFile, SamplingDefaults, SideFiles, TensorInfo};
use crate::{WeightError, canon, meta, mmap, quant};

/// An opened model: metadata and a directory of tensors, mapped, nothing read.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    container: Container,
    style: Style,
    meta: Meta,
    directory: Directory,
    ignored: BTreeSet<String>,
    gguf: Option<Gguf>,
    side: SideFiles,
    sampling: SamplingDefaults,
    unknown_keys: Vec<String>,
    adapters: Vec<Adapter>,
}

/// More parts than any model is split into.
const PARTS_MAX: i64 = 99_999;

impl Source {
    /// Opens a GGUF file (any part of a split set) or a Hugging Face or MLX directory.
    ///
    /// # Errors
    /// Where a file cannot be read, is damaged, or describes what this version does not know.
    pub fn open(path: &Path) -> Result<Source, WeightError> {
        let not = |found| Err(WeightError::NotAModel { path: path.to_owned(), found });
        if path.is_dir() {
            if path.join("config.json").is_file() {
                return Source::open_directory(path);
            }
            return match hf::only_gguf(path)? {
                Some(file) => Source::open_gguf(&file),
                None => not("a directory without config.json and not with one GGUF model"),
            };
        }
        match path.extension().and_then(|end| end.to_str()) {
            Some("safetensors") => not(
                "a file of bare tensors, which does not say what network they belong to; put its \
                 config.json beside it and give the directory",
            ),
            Some("bin" | "pt" | "pth" | "ckpt") => not("a PyTorch file, which can hold programs"),
            Some("json") => not("a JSON file; the directory that holds it may be one"),
            _ => Source::open_gguf(path),
        }
    }

    /// A GGUF model that is built into the program; `name` is what errors call it.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn from_bytes(name: &str, gguf: &'static [u8]) -> Result<Source, WeightError> {
        let owner: Arc<&'static [u8]> = Arc::new(gguf);
        let bytes = Bytes::new(owner, 0..gguf.len()).expect("a slice has its own length");
        let gguf = Gguf::parse(name, bytes.clone())?;
        let mut directory = Directory::default();
        directory.add_file(name, bytes);
        directory.add_gguf(gguf.tensors())?;
        Source::from_gguf(PathBuf::from(name), gguf, directory)
    }

    fn open_gguf(path: &Path) -> Result<Source, WeightError> {
        let name = path.display().to_string();
        let bytes = mmap::map(path)?;
        let gguf = Gguf::parse(&name, bytes.clone())?;
        let mut directory = Directory::default();
        if gguf.int("split.count").unwrap_or(1) <= 1 {
            directory.add_file(&name, bytes);
            directory.add_gguf(gguf.tensors())?;
            return Source::from_gguf(path.to_owned(), gguf, directory);
        }
        let parts = open_parts(path, &gguf)?;
        let mut first = None;
        for (name, bytes, part) in parts {
            directory.add_file(&name, bytes);
            directory.add_gguf(part.tensors())?;
            first.get_or_insert(part);
        }
        let first = first.expect("a split set has more than one part");
        let total = first.int("split.tensors.count");
        let found = directory.tensors().len();
        if total.is_some_and(|total| total != found as i64) {
            let what =
                format!("the parts hold {found} tensors, `split.tensors.count` says {total:?}");
            return Err(WeightError::damaged(&name, what));
        }
        Source::from_gguf(path.to_owned(), first, directory)
    }

    fn from_gguf(path: PathBuf, gguf: Gguf, directory: Directory) -> Result<Source, WeightError> {
        let style = Style::Gguf;
        let mut meta = meta::from_gguf(&gguf, &directory)?;
        let family = family(&meta);
        canon::flags(&mut meta, &directory, Origin { style, family, mlx: false });
        Ok(Source {
            container: Container::Gguf { version: gguf.version() },
            ignored: canon::ignored(&meta, &directory, style),
            sampling: SamplingDefaults::from_gguf(&gguf),
            side: SideFiles::default(),
            unknown_keys: Vec::new(),
            adapters: Vec::new(),
            gguf: Some(gguf),
            path,
            style,
            meta,
            directory,
        })
    }

    fn open_directory(path: &Path) -> Result<Source, WeightError> {
        let config = Config::read(&path.join("config.json"))?;
        let mut directory = Directory::default();
        for shard in hf::shards(path)? {
            let file = SafeFile::open(&shard)?;
            directory.add_file(&shard.display().to_string(), file.bytes().clone());
            directory.add_safe(file.tensors())?;
        }
        let aside = path.join("hf_quant_config.json");
        let aside = if aside.is_file() { Some(Config::read(&aside)?) } else { None };
        let quantized = quant::fold(&config, aside.as_ref(), &mut directory)?;
        let container = if quantized.mlx { Container::Mlx } else { Container::Safetensors };
        let style = Style::HuggingFace;
        let text = config.text()?;
        let (mut meta, mut unknown_keys) = text.as_ref().unwrap_or(&config).meta()?;
        if text.is_some() {
            unknown_keys.extend(config.unknown_beside_text()?);
        }
        unknown_keys.extend(quantized.unknown_keys);
        let family = family(&meta);
        if quantized.mlx && names::UNWINDOWED.contains(&family) {
            meta.remove("window");
        }
        canon::flags(&mut meta, &directory, Origin { style, family, mlx: quantized.mlx });
        let side = SideFiles::find(path);
        let sampling = match &side.generation_config {
            Some(file) => SamplingDefaults::from_file(file)?,
            None => SamplingDefaults::default(),
        };
        let mut ignored = canon::ignored(&meta, &directory, style);
        ignored.extend(quantized.spare);
        if text.is_some() {
            let aside = directory.tensors().iter().filter(|t| !names::is_text(&t.name));
            ignored.extend(aside.map(|t| t.name.clone()));
        }
        let (path, gguf) = (path.to_owned(), None);
        Ok(Source {
            path,
            container,
            style,
            meta,
            directory,
            ignored,
            gguf,
            side,
            sampling,
            unknown_keys,
            adapters: Vec::new(),
        })
    }

    /// The model's metadata under `model`'s keys.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Finds every part that a model demands, and checks that the file holds nothing else.
    ///
    /// # Errors
    /// Names the tensor that is missing, of another shape, or of no use.
    pub fn bind(&self, wanted: &[WeightSpec]) -> Result<Vec<Bound>, WeightError> {
        let mlx = self.container == Container::Mlx;
        let origin = Origin { style: self.style, family: family(&self.meta), mlx };
        canon::bind(&self.directory, origin, &self.ignored, wanted)
    }

    /// Lays an adapter over the model, after those that it has; `scale` is a factor on it.
    ///
    /// # Errors
    /// As [`Adapter::open`]. Whether it fits is found by [`Source::pairs`].
    pub fn lay_over(&mut self, path: &Path, scale: f32) -> Result<(), WeightError> {
        self.adapters.push(Adapter::open(path, scale)?);
        Ok(())
    }

    /// The adapters in their order.
    pub fn adapters(&self) -> &[Adapter] {
        &self.adapters
    }

    /// The adapters' matrices beside those that a model demands, adapter by adapter.
    ///
    /// # Errors
    /// Where an adapter was made for another model, or has a tensor that fits nothing.
    pub fn pairs(&self, wanted: &[WeightSpec]) -> Result<Vec<Pair>, WeightError> {
        let named = self.gguf.as_ref().and_then(|gguf| gguf.text("general.architecture"));
        let of_family = || names::architectures(family(&self.meta));
        let architectures = named.map_or_else(of_family, |named| vec![named]);
        let heads = self.meta.opt_u32("heads").ok().flatten();
        let base = Base { style: self.style, architectures: &architectures, heads };
        let mut all = Vec::new();
        for (nth, adapter) in self.adapters.iter().enumerate() {
            all.extend(adapter.pairs(nth, base, wanted)?);
        }
        Ok(all)
    }

    /// A part where it lies in the file; nothing is copied unless [`Source::repacked`] says so.
    ///
    /// # Errors
    /// Where the tensor's bytes do not match its shape.
    pub fn load(&self, bound: &Bound) -> Result<Tensor, WeightError> {
        match bound.adapter {
            Some(nth) => self.adapters[nth].load(bound),
            None => self.directory.load(bound),
        }
    }

    /// Why some matrices are not read where they lie but repacked into memory, and the bytes that
    /// they take there.
    pub fn repacked(&self) -> Option<(&'static str, u64)> {
        self.directory.repacked()
    }

    /// The tensors that the model does not need although its file holds them.
    pub fn ignored(&self) -> Vec<String> {
        self.ignored.iter().cloned().collect()
    }

    /// Keys of config.json that mean nothing to this version; none of them is known to matter.
    pub fn unknown_keys(&self) -> &[String] {
        &self.unknown_keys
    }

    /// What the files are.
    pub fn container(&self) -> Container {
        self.container
    }

    /// The path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of all files that hold tensors.
    pub fn file_bytes(&self) -> u64 {
        self.directory.file_bytes()
    }

    /// Every tensor of the files, in their order.
    pub fn tensors(&self) -> impl Iterator<Item = &TensorInfo> {
        self.directory.tensors().iter()
    }

    /// The key-values of a GGUF file; of a split set, those of its first part.
    pub fn gguf(&self) -> Option<&Gguf> {
        self.gguf.as_ref()
    }

    /// The files beside the weights of a directory.
    pub fn side_files(&self) -> &SideFiles {
        &self.side
    }

    /// How the model's authors want it sampled.
    pub fn sampling_defaults(&self) -> &SamplingDefaults {
        &self.sampling
    }
}

/// The family of a model, as GGUF spells it; nothing where it is not known.
fn family(meta: &Meta) -> &'static str {
    let named = meta.opt_text("family").ok().flatten();
    named.and_then(|name| model::family(name).ok()).map_or("", |family| family.gguf)
}

/// The parts of a split set in order, found beside one of them.
fn open_parts(path: &Path, any: &Gguf) -> Result<Vec<(String, Bytes, Gguf)>, WeightError> {
    let name = path.display().to_string();
    let damaged = |what: String| WeightError::damaged(&name, what);
    let count = any.int("split.count").unwrap_or(1);
    if !(2..=PARTS_MAX).contains(&count) {
        return Err(damaged(format!("`split.count` is {count}")));
    }
    let file = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
    let tail = format!("-of-{count:05}.gguf");
    let stem = file.strip_suffix(&tail).and_then(|rest| Some(&rest[..rest.len().checked_sub(6)?]));
    let Some(stem) = stem else {
        return Err(WeightError::foreign(
            &name,
            format!(
                "this is one of {count} parts, but its name does not end in -00001{tail}; \
                     give it the name that it was published under"
            ),
        ));
    };
    let mut parts = Vec::new();
    for number in 1..=count {
        let part = path.with_file_name(format!("{stem}-{number:05}{tail}"));
        if !part.is_file() {
            return Err(WeightError::MissingFile { file: part, named_by: name });
        }
        let part_name = part.display().to_string();
        let bytes = mmap::map(&part)?;
        let gguf = Gguf::parse(&part_name, bytes.clone())?;
        let says = (gguf.int("split.no"), gguf.int("split.count"));
        if says != (Some(number - 1), Some(count)) {
            let what = format!("this should be part {number} of {count}; rename or download again");
            return Err(WeightError::foreign(&part_name, what));
        }
        parts.push((part_name, bytes, gguf));
    }
    Ok(parts)
}
