//! A model from its name to its answers.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use blocks::Tensor;
use chat::{ChatTemplate, Conversation, Finished, Hooks, Job, Stops};
use engine::{Engine, Sampling};
use hub::{At, Found, Hub, Recipe};
use model::Spec;
use ops::{Form, KvKind, Program};
use plan::Plan;
use tokens::{Template, TemplateError, Vocab};
use weights::{Source, WeightError};

use crate::builtin::builtin;
use crate::error::Error;
use crate::runtime::Runtime;
use crate::sampling::Defaults;
use crate::vocab::{Templates, Texts};

/// How a model is run.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How products with quantized weights are computed: [`Form::Fast`] rounds activations to
    /// int8, [`Form::Exact`] keeps them.
    pub form: Form,
    /// How keys and values are stored.
    pub kv: KvKind,
    /// Positions that prompt and answer may have together; `None` takes what the model was
    /// trained for, as far as half of the free memory holds its keys and values, and 32768 at
    /// most.
    pub context: Option<usize>,
    /// Ids of a prompt that are computed together; results do not depend on it.
    pub chunk: usize,
    /// Positions whose logits are computed together by [`Engine::score`].
    pub outputs: usize,
}

/// How an answer is made.
#[derive(Clone, Debug, Default)]
pub struct Params {
    /// How ids are chosen; as the model's authors want it if `None`.
    pub sampling: Option<Sampling>,
    /// Ids to add at most; what the context leaves room for if `None`.
    pub max_tokens: Option<usize>,
    /// Strings that end the answer.
    pub stops: Vec<String>,
}

/// A model whose files are open and whose program is made; no weight has been read.
pub struct Opened {
    /// The name it was asked for by.
    pub name: String,
    /// Its files.
    pub source: Source,
    /// Its description, its program and where its weights lie.
    pub plan: Plan,
    /// What is laid over it.
    pub recipe: Recipe,
}

/// A model that can answer.
pub struct Model {
    name: String,
    source: Source,
    spec: Spec,
    engine: Engine,
    runtime: Arc<Runtime>,
    recipe: Recipe,
    texts: Texts,
    vocab: OnceLock<Arc<Vocab>>,
}

/// The longest context that nobody asked for.
const DEFAULT_CONTEXT_MAX: usize = 32_768;

impl Default for Options {
    fn default() -> Options {
        Options {
            form: Form::Fast,
            kv: KvKind::F16,
            context: None,
            chunk: engine::limits::ROWS_MAX,
            outputs: 1,
        }
    }
}

/// Why the template that is laid over a model does not serve, if it is one of Ollama's that uses
/// what Russet does not read of Go's language.
pub fn unread_template(recipe: &Recipe) -> Option<TemplateError> {
    let text = recipe.template.as_deref().filter(|text| Template::is_go(text))?;
    Template::new(text).err()
}

/// The chat template that is laid over a model, if it can be read.
pub fn laid_over(recipe: &Recipe) -> Option<&str> {
    recipe.template.as_deref().filter(|_| unread_template(recipe).is_none())
}

impl Opened {
    /// Opens the model that a name means on this machine: a path, [`crate::BUILTIN`], or one that
    /// some program downloaded. Nothing is downloaded here.
    ///
    /// # Errors
    /// Where there is no such model, its files are not as they should be, or Russet does not run
    /// its kind.
    pub fn open(name: &str, form: Form, kv: KvKind) -> Result<Opened, Error> {
        let hub = Hub::new(crate::places::places(true));
        Opened::of(hub.find(name)?, form, kv)
    }

    /// Opens a model that was found.
    ///
    /// # Errors
    /// Where its files are not as they should be, or Russet does not run its kind.
    pub fn of(found: Found, form: Form, kv: KvKind) -> Result<Opened, Error> {
        let mut source = match found.at {
            At::Builtin => builtin()?,
            At::Path(path) => Source::open(&path)?,
        };
        for adapter in &found.recipe.adapters {
            source.lay_over(&adapter.path, adapter.scale)?;
        }
        let plan = plan::plan(&source, &plan::Options { form, kv })?;
        Ok(Opened { name: found.name, source, plan, recipe: found.recipe })
    }

    /// The program's weights where they lie in the files; [`Source::repacked`] says which do not.
    ///
    /// # Errors
    /// Where a tensor's bytes do not match its shape.
    pub fn weights(&self) -> Result<Vec<Tensor>, WeightError> {
        self.plan.bound.iter().map(|bound| self.source.load(bound)).collect()
    }

    /// Bytes of keys and values for each position.
    pub fn kv_bytes_per_token(&self) -> usize {
        self.plan.program.caches.iter().map(ops::CacheGroup::bytes_per_token).sum()
    }

    /// The model's own name where its file has one, else the last part of the name it was asked
    /// for by: a path in a store is a sum.
    pub fn title(&self) -> String {
        title(&self.source, &self.name)
    }

    /// The context unless asked otherwise, with `free` bytes of memory; see [`Options::context`].
    fn default_context(&self, free: usize) -> usize {
        let fits = free / 2 / self.kv_bytes_per_token().max(1);
        // A page is taken in any case; whether there is memory for it is the ledger's to say.
        let most = (self.plan.spec.context as usize).clamp(1, DEFAULT_CONTEXT_MAX);
        fits.max(ops::PAGE).min(most)
    }
}

impl Model {
    /// Opens and loads a model on the process's [`Runtime`].
    ///
    /// # Errors
    /// As [`Opened::open`], and where memory does not suffice.
    pub fn open(name: impl AsRef<Path>, options: &Options) -> Result<Model, Error> {
        let name = name.as_ref().to_string_lossy();
        Model::load(Opened::open(&name, options.form, options.kv)?, options)
    }

    /// Loads a model that is open. The form and the kind of cache are those that it was opened
    /// with.
    ///
    /// # Errors
    /// Where memory does not suffice or an option is out of bounds.
    pub fn load(opened: Opened, options: &Options) -> Result<Model, Error> {
        let runtime = Runtime::shared();
        let weights = opened.weights()?;
        let asked = opened.recipe.number("num_ctx").filter(|&n| n > 0.0).map(|n| n as usize);
        let context = options.context.or(asked);
        let context = context.unwrap_or_else(|| opened.default_context(runtime.free_bytes()));
        let Opened { name, source, plan: Plan { spec, program, .. }, recipe } = opened;
        let options = engine::Options {
            owner: name.clone(),
            context,
            rows: options.chunk.max(options.outputs),
            chunk: options.chunk,
            outputs: options.outputs,
            repacked: weights.iter().map(Tensor::owned_bytes).sum(),
            ..engine::Options::default()
        };
        let engine = runtime.engines().load(0, Arc::new(program), weights, options)?;
        let texts = Texts::of(&source);
        Ok(Model { name, source, spec, engine, runtime, recipe, texts, vocab: OnceLock::new() })
    }

    /// Goes on with a text, without any template.
    ///
    /// # Errors
    /// Where the prompt is empty and the model has no id that begins a text, or is too long, or
    /// the engine fails.
    pub fn generate(&mut self, prompt: &str, params: &Params) -> Result<Finished, Error> {
        self.stream(prompt, params, |_| ControlFlow::Continue(()))
    }

    /// The same, handing out text as it becomes certain. `Break` ends the answer.
    ///
    /// # Errors
    /// As [`Model::generate`].
    pub fn stream(
        &mut self,
        prompt: &str,
        params: &Params,
        on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Finished, Error> {
        let ids = self.text_ids(prompt)?;
        let job = Job { continues: !prompt.is_empty(), ..self.job(ids, params)? };
        self.listen(&job, on_text)
    }

    /// Answers a conversation by the model's template, handing out text as it becomes certain.
    /// The answer is not added to the conversation.
    ///
    /// # Errors
    /// Where the template refuses the messages, or as [`Model::generate`].
    pub fn chat(
        &mut self,
        conversation: &Conversation,
        params: &Params,
        on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Finished, Error> {
        let template = self.template(None)?;
        let ids = conversation.ids(&template.template, &*self.vocab()?)?;
        let job = self.job(ids, params)?;
        self.listen(&job, on_text)
    }

    /// Does a job; `hooks` hear of it. Jobs come from [`Model::job`].
    ///
    /// # Errors
    /// Where the job is not acceptable or the engine fails.
    pub fn answer(&mut self, job: &Job, hooks: &mut Hooks<'_>) -> Result<Finished, Error> {
        let vocab = self.vocab()?;
        Ok(chat::generate(&mut self.engine, &vocab, job, hooks)?)
    }

    /// A job that answers `ids`.
    ///
    /// # Errors
    /// Where a stop string is empty, or the model's files name no valid end.
    pub fn job(&self, ids: Vec<u32>, params: &Params) -> Result<Job, Error> {
        let sampling = params.sampling.clone().unwrap_or_else(|| self.defaults().sampling);
        let limit = self.recipe.number("num_predict").filter(|&n| n >= 0.0).map(|n| n as usize);
        let mut stops = params.stops.clone();
        stops.extend(self.recipe.stops());
        Ok(Job {
            ids,
            sampling,
            max_tokens: params.max_tokens.or(limit),
            stops: Stops::new(stops)?,
            stop_ids: self.texts.end_ids()?,
            ..Job::default()
        })
    }

    /// The ids of a text to go on with. An empty one is the id that begins a text.
    ///
    /// # Errors
    /// Where there is no tokenizer, or no such id.
    pub fn text_ids(&self, text: &str) -> Result<Vec<u32>, Error> {
        let vocab = self.vocab()?;
        let mut ids = chat::prompt_ids(&vocab, text);
        if ids.is_empty() {
            ids.extend(vocab.bos());
        }
        if ids.is_empty() { Err(Error::EmptyPrompt(self.name.clone())) } else { Ok(ids) }
    }

    /// The vocabulary, read when it is first asked for.
    ///
    /// # Errors
    /// Where there is none, or one that cannot be read.
    pub fn vocab(&self) -> Result<Arc<Vocab>, Error> {
        if let Some(vocab) = self.vocab.get() {
            return Ok(vocab.clone());
        }
        let none = || Error::NoTokenizer(self.name.clone());
        let vocab = Arc::new(self.texts.vocab()?.ok_or_else(none)?);
        Ok(self.vocab.get_or_init(|| vocab).clone())
    }

    /// The template of chats: the text `user` if given, else what is laid over the model if it can
    /// be read (see [`unread_template`]), else the model's, else a plain one.
    ///
    /// # Errors
    /// Where it is not valid.
    pub fn template(&self, user: Option<&str>) -> Result<ChatTemplate, Error> {
        let templates = self.templates()?;
        let laid_over = laid_over(&self.recipe);
        Ok(ChatTemplate::choose(user.or(laid_over), templates.choose(false))?)
    }

    /// The templates that the model brings.
    ///
    /// # Errors
    /// Where their file cannot be read.
    #[doc(hidden)]
    pub fn templates(&self) -> Result<Templates, Error> {
        Ok(self.texts.templates()?)
    }

    /// How the model is sampled unless asked otherwise, and who says so.
    pub fn defaults(&self) -> Defaults {
        Defaults::of(self.source.sampling_defaults()).under(&self.recipe)
    }

    /// What is laid over the model's files: by a Modelfile, or in Ollama's store.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The name it was asked for by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The model's own name where its file has one, else the last part of the name it was asked
    /// for by: a path in a store is a sum.
    pub fn title(&self) -> String {
        title(&self.source, &self.name)
    }

    /// Its files.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Its description.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Its program.
    pub fn program(&self) -> &Program {
        self.engine.program()
    }

    /// Its engine, for what is not text.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// Positions that prompt and answer may have together.
    pub fn context(&self) -> usize {
        self.engine.options().context
    }

    /// What it runs on.
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    fn listen(
        &mut self,
        job: &Job,
        mut on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Finished, Error> {
        let started = Instant::now();
        let now: &dyn Fn() -> Duration = &|| started.elapsed();
        let cancel = AtomicBool::new(false);
        let (on_text, on_prompt) = (&mut on_text, &mut |_, _| {});
        self.answer(job, &mut Hooks { on_text, on_prompt, cancel: &cancel, now })
    }
}

fn title(source: &Source, name: &str) -> String {
    let named = source.gguf().and_then(|gguf| gguf.text("general.name"));
    let path = Path::new(name);
    let last = || path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    named.filter(|name| !name.is_empty()).map_or_else(last, str::to_owned)
}
