//! One answer at a time: prompt in, text out, statistics after.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Instant;

use ::chat::{ChatTemplate, Conversation, Finish, Finished, Hooks, Job, TemplateSource};
use anyhow::Context;
use russet::{Model, Origin, Params, Sampling};

use super::{Args, report};
use crate::commands::show::settings;
use crate::flags::{ChatArgs, SamplingArgs};
use crate::terminal::{self, Interrupt};

/// A model with the settings that it answers by.
pub struct Asker {
    pub model: Model,
    pub sampling: SamplingArgs,
    pub system: Option<String>,
    pub template: Option<ChatTemplate>,
    special: bool,
    quiet: bool,
    verbose: bool,
}

/// Prompts shorter than this are read before a bar is of use.
const BAR_TOKENS: usize = 256;

impl Asker {
    pub fn new(model: Model, args: &Args) -> anyhow::Result<Asker> {
        let template = if args.raw { None } else { Some(template(&model, &args.chat)?) };
        let mut sampling = args.sampling.clone();
        sampling.seed = sampling.seed.or(model.recipe().number("seed").map(|seed| seed as i64));
        let asker = Asker {
            sampling,
            system: args.chat.system.clone().or_else(|| model.recipe().system.clone()),
            template,
            special: args.special,
            quiet: args.quiet,
            verbose: args.verbose,
            model,
        };
        if args.verbose {
            eprint!("{}", asker.about()?);
        }
        if asker.template.as_ref().is_some_and(|t| t.source == TemplateSource::Builtin) {
            terminal::note("the model brings no chat template; a plain one serves, or use --raw");
        }
        Ok(asker)
    }

    /// The settings in force.
    pub fn settings(&self) -> anyhow::Result<Sampling> {
        self.sampling.apply(self.model.defaults().sampling, &*self.model.vocab()?)
    }

    /// What the model is, how it is sampled by whose word, and what it runs on.
    pub fn about(&self) -> anyhow::Result<String> {
        let model = &self.model;
        let origin = match model.defaults().origin {
            Origin::Model(keys) => format!("defaults by {}", keys.join(", ")),
            Origin::Russet => "defaults by Russet".to_owned(),
        };
        let template = match self.template.as_ref().map(|template| template.source) {
            Some(TemplateSource::Model) => "the model's",
            Some(TemplateSource::User) => "yours",
            Some(TemplateSource::Builtin) => "Russet's plain one; the model brings none",
            None => "none",
        };
        let sampling = self.settings()?;
        let runtime = model.runtime();
        let (backend, isa, threads) =
            (runtime.backend().name(), runtime.isa().name(), runtime.threads());
        Ok(format!(
            "model     {} ({}), {} parameters\n\
             context   {} tokens\n\
             template  {template}\n\
             sampling  {} ({origin})\n\
             runs on   {backend}, {isa}, {threads} threads\n",
            model.title(),
            model.spec().family,
            model.spec().parameters(),
            model.context(),
            settings(&sampling),
        ))
    }

    /// The conversation before anything is asked.
    pub fn beginning(&self) -> anyhow::Result<Conversation> {
        let mut beginning = Conversation::new();
        if let Some(system) = &self.system {
            beginning.push("system", system)?;
        }
        for (role, text) in &self.model.recipe().messages {
            beginning.push(role, text)?;
        }
        Ok(beginning)
    }

    /// The ids of a conversation, ready for an answer.
    pub fn chat_ids(&self, messages: &Conversation) -> anyhow::Result<Vec<u32>> {
        let template = self.template.as_ref().context("a chat has a template")?;
        Ok(messages.ids(&template.template, &*self.model.vocab()?)?)
    }

    /// Prints an answer to `ids` as it comes, then the statistics.
    pub fn answer(&mut self, ids: Vec<u32>, continues: bool) -> anyhow::Result<Finished> {
        let params = Params {
            sampling: Some(self.settings()?),
            max_tokens: self.sampling.limit(),
            stops: self.sampling.stop.clone(),
        };
        let job = Job {
            continues,
            ignore_end: self.sampling.ignore_eos,
            show_special: self.special,
            ..self.model.job(ids, &params)?
        };
        let bar = (job.ids.len() >= BAR_TOKENS && io::stderr().is_terminal())
            .then(|| terminal::bar("reading", job.ids.len()));
        let started = Instant::now();
        let mut failed = None;
        let answer = Interrupt::listen(|cancel| {
            let clear = || bar.iter().for_each(|bar| bar.finish_and_clear());
            let mut on_text = |text: &str| match print(text) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            };
            let mut on_prompt = |done: usize, total: usize| {
                bar.iter().for_each(|bar| bar.set_position(done as u64));
                if done == total {
                    clear();
                }
            };
            let answer = self.model.answer(
                &job,
                &mut Hooks {
                    on_text: &mut on_text,
                    on_prompt: &mut on_prompt,
                    cancel,
                    now: &|| started.elapsed(),
                },
            );
            clear();
            answer
        })?;
        let wall = started.elapsed();
        failed.map_or(Ok(()), Err)?;
        print("\n")?;
        if self.verbose {
            eprintln!("seed {}", job.sampling.seed);
        }
        if !self.quiet {
            eprintln!("{}", report::line(&self.model, &answer, wall));
        }
        Ok(answer)
    }
}

/// Goes on with a text.
pub fn raw(mut asker: Asker, prompt: &str, echo: bool) -> anyhow::Result<ExitCode> {
    let ids = asker.model.text_ids(prompt)?;
    if echo {
        print(prompt)?;
    }
    let answer = asker.answer(ids, !prompt.is_empty())?;
    Ok(code(&answer))
}

/// Answers one message.
pub fn once(mut asker: Asker, prompt: &str) -> anyhow::Result<ExitCode> {
    let mut messages = asker.beginning()?;
    messages.push("user", prompt)?;
    let ids = asker.chat_ids(&messages)?;
    let answer = asker.answer(ids, false)?;
    Ok(code(&answer))
}

fn code(answer: &Finished) -> ExitCode {
    match answer.finish {
        Finish::Cancelled => ExitCode::from(terminal::INTERRUPTED),
        _ => ExitCode::SUCCESS,
    }
}

/// The template that the flags ask for: a file, a name of the model's, a text, or its default.
fn template(model: &Model, args: &ChatArgs) -> anyhow::Result<ChatTemplate> {
    if let Some(path) = &args.chat_template_file {
        let of = || format!("cannot read {}; give a Jinja template", path.display());
        let text = fs::read_to_string(path).with_context(of)?;
        return Ok(model.template(Some(&text))?);
    }
    let Some(text) = &args.chat_template else { return Ok(model.template(None)?) };
    let templates = model.templates()?;
    let named = templates.named(text);
    if named.is_none() && !text.contains(['{', ' ']) {
        let names: Vec<_> = templates.names().collect();
        anyhow::bail!(
            "--chat-template `{text}` is no Jinja template and no name of the model's ({}); a \
             file is given with --chat-template-file",
            names.join(", ")
        );
    }
    Ok(model.template(Some(named.unwrap_or(text)))?)
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
