//! A chat in a terminal: messages, commands that begin with a slash, a history of lines.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::chat::{Conversation, Finish};
use anyhow::{Context, bail};
use clap::{Args as _, FromArgMatches};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use serde_json::Value;

use super::ask::Asker;
use crate::flags::SamplingArgs;
use crate::terminal;

const HELP: &str = "\
/set NAME VALUE  change a setting: system, or any sampling flag (/set temp 0.7, /set max-tokens 99)
/set             list them
/show            the model, its settings and how full the context is; /show template, /show system
/save FILE       write the conversation as JSON
/load FILE       go on with a conversation
/clear           forget the conversation
/help            this list
/bye             leave (also Ctrl-D)
\"\"\"              begins and ends a message of several lines
Ctrl-C stops an answer";

/// A conversation with the model.
struct Chat {
    asker: Asker,
    messages: Conversation,
    /// Ids of the prompt that was answered last, with its answer.
    used: usize,
}

/// What comes after a line.
enum Next {
    Read,
    Leave,
}

/// Chats until the user leaves.
pub fn chat(asker: Asker) -> anyhow::Result<ExitCode> {
    let title = asker.model.title();
    let mut chat = Chat { asker, messages: Conversation::new(), used: 0 };
    chat.clear()?;
    let mut editor = DefaultEditor::new()?;
    let history = history();
    if let Some(file) = &history {
        // The first time there is none.
        let _ = editor.load_history(file);
    }
    eprintln!("{title}. /help lists the commands.");
    loop {
        let Some(message) = read(&mut editor)? else { break };
        if message.trim().is_empty() {
            continue;
        }
        let next = match message.trim().strip_prefix('/') {
            Some(command) => chat.command(command),
            None => chat.say(&message).map(|()| Next::Read),
        };
        match next {
            Ok(Next::Read) => {}
            Ok(Next::Leave) => break,
            // Whatever it is, the conversation is still there.
            Err(error) => {
                terminal::fail(&error);
            }
        }
    }
    if let Some(file) = &history {
        save(&mut editor, file);
    }
    Ok(ExitCode::SUCCESS)
}

/// A message, of several lines between `"""`; `None` at the end.
fn read(editor: &mut DefaultEditor) -> anyhow::Result<Option<String>> {
    const QUOTES: &str = "\"\"\"";
    let Some(line) = read_line(editor, ">>> ")? else { return Ok(None) };
    let Some(rest) = line.trim_start().strip_prefix(QUOTES) else { return Ok(Some(line)) };
    let mut message = rest.to_owned();
    loop {
        if let Some((text, _)) = message.split_once(QUOTES) {
            return Ok(Some(text.trim_matches('\n').to_owned()));
        }
        let Some(line) = read_line(editor, "... ")? else { return Ok(None) };
        message.push('\n');
        message.push_str(&line);
    }
}

/// A line; Ctrl-C gives an empty one, Ctrl-D none.
fn read_line(editor: &mut DefaultEditor, prompt: &str) -> anyhow::Result<Option<String>> {
    match editor.readline(prompt) {
        Ok(line) => {
            if !line.trim().is_empty() {
                editor.add_history_entry(&line)?;
            }
            Ok(Some(line))
        }
        Err(ReadlineError::Interrupted) => Ok(Some(String::new())),
        Err(ReadlineError::Eof) => Ok(None),
        Err(error) => Err(error).context("the terminal cannot be read"),
    }
}

/// Keeps the lines for the next chat; a chat does not fail for it.
fn save(editor: &mut DefaultEditor, file: &Path) {
    if let Some(dir) = file.parent() {
        let _ = fs::create_dir_all(dir);
    }
    let _ = editor.save_history(file);
}

/// Where lines are kept; nowhere for a user without a home.
fn history() -> Option<PathBuf> {
    Some(russet::machine::data_dir()?.join("history"))
}

impl Chat {
    /// Says something and prints the answer.
    fn say(&mut self, text: &str) -> anyhow::Result<()> {
        self.messages.push("user", text)?;
        let answer =
            self.asker.chat_ids(&self.messages).and_then(|ids| self.asker.answer(ids, false));
        match answer {
            Ok(answer) => {
                self.used = answer.usage.prompt + answer.usage.generated;
                if answer.finish == Finish::Length && self.used >= self.asker.model.context() {
                    terminal::note("the context is full; /clear forgets the conversation");
                }
                Ok(self.messages.push("assistant", &answer.text)?)
            }
            Err(error) => {
                // What was not answered was not said.
                self.messages.pop();
                Err(error)
            }
        }
    }

    fn command(&mut self, command: &str) -> anyhow::Result<Next> {
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        match name {
            "help" | "?" => eprintln!("{HELP}"),
            "set" => self.set(rest)?,
            "show" => self.show(rest)?,
            "save" => self.save(rest)?,
            "load" => self.load(rest)?,
            "clear" => {
                self.clear()?;
                eprintln!("The conversation is forgotten.");
            }
            "bye" | "exit" | "quit" => return Ok(Next::Leave),
            _ => bail!("there is no command /{name}; /help lists those that there are"),
        }
        Ok(Next::Read)
    }

    /// Forgets the conversation; what the model was told before it stays, and how it begins.
    fn clear(&mut self) -> anyhow::Result<()> {
        self.used = 0;
        self.messages = self.asker.beginning()?;
        Ok(())
    }

    /// Changes a setting; names and values are those of the flags.
    fn set(&mut self, rest: &str) -> anyhow::Result<()> {
        let settings =
            || SamplingArgs::augment_args(clap::Command::new("/set").no_binary_name(true));
        let (name, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let (name, value) = (name.trim_start_matches('-'), value.trim());
        if name.is_empty() {
            let flags = settings();
            let names = flags.get_arguments().filter_map(|arg| arg.get_long());
            eprintln!("system, {}", names.collect::<Vec<_>>().join(", "));
            return Ok(());
        }
        if name == "system" {
            self.asker.system = Some(value.to_owned()).filter(|text| !text.is_empty());
            self.clear()?;
            eprintln!("The conversation begins anew.");
            return Ok(());
        }
        let name = name.replace('_', "-");
        let words = if value.is_empty() {
            vec![format!("--{name}")]
        } else {
            vec![format!("--{name}={value}")]
        };
        let matches = settings().try_get_matches_from(words).map_err(|error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            anyhow::anyhow!("{first}; /set lists the settings")
        })?;
        let before = self.asker.sampling.clone();
        self.asker.sampling.update_from_arg_matches(&matches)?;
        if let Err(error) = self.asker.settings() {
            self.asker.sampling = before;
            return Err(error);
        }
        Ok(())
    }

    fn show(&self, what: &str) -> anyhow::Result<()> {
        match what {
            "" => {
                eprint!("{}", self.asker.about()?);
                eprintln!("used      {} of {} tokens", self.used, self.asker.model.context());
            }
            "template" => match &self.asker.template {
                Some(template) => eprintln!("{}", template.template.source()),
                None => eprintln!("none"),
            },
            "system" => eprintln!("{}", self.asker.system.as_deref().unwrap_or("nothing")),
            _ => bail!("/show takes nothing, template or system"),
        }
        Ok(())
    }

    fn save(&self, file: &str) -> anyhow::Result<()> {
        if file.is_empty() {
            bail!("/save needs the name of a file");
        }
        let json = serde_json::to_vec_pretty(self.messages.messages())?;
        fs::write(file, json).with_context(|| format!("cannot write {file}"))?;
        eprintln!("Written: {} messages.", self.messages.messages().len());
        Ok(())
    }

    fn load(&mut self, file: &str) -> anyhow::Result<()> {
        if file.is_empty() {
            bail!("/load needs the name of a file");
        }
        let text = fs::read(file).with_context(|| format!("cannot read {file}"))?;
        let of = || format!("{file} holds no conversation; /save writes them");
        let messages: Vec<Value> = serde_json::from_slice(&text).with_context(of)?;
        let system = messages.first().filter(|message| message["role"] == "system");
        let system = system.and_then(|message| Some(message["content"].as_str()?.to_owned()));
        self.messages = Conversation::from_messages(messages)?;
        self.asker.system = system;
        eprintln!("Loaded: {} messages.", self.messages.messages().len());
        Ok(())
    }
}
