//! Every family's reference model: how rows are cut into steps, and who shares them, changes no
//! bit.

use std::path::Path;
use std::sync::Arc;

use cpu::{Cpu, Isa};
use engine::{Engine, Event, Request, SequenceId};
use ops::{Backend, PAGE, Sizes};
use russet::{Form, KvKind, Opened};
use weights::SafeFile;

/// The ids and log probabilities, as bits, that a sequence was continued with.
type Said = Vec<(u32, u32)>;

/// Ids to add: enough to reach the second page.
const COUNT: usize = 24;

/// An engine for steps of so many ids of a prompt and so many sequences.
fn engine(opened: Opened, chunk: usize, sequences: usize) -> Engine {
    let weights = opened.weights().expect("weights");
    let runtime = engine::Runtime::new(vec![Arc::new(Cpu::new(Isa::best(), 2))], 1 << 30);
    let options = engine::Options {
        context: 128,
        kv_tokens: 128 * sequences,
        sequences,
        rows: 64,
        chunk,
        kept: 0,
        ..engine::Options::default()
    };
    runtime.load(0, Arc::new(opened.plan.program), weights, options).expect("it loads")
}

/// What the engine says after each prompt, all of them at once.
fn answers(engine: &mut Engine, prompts: &[&[u32]]) -> Vec<Said> {
    let request = |ids: &&[u32]| Request { logprobs: true, ..Request::new(ids.to_vec(), COUNT) };
    let add = |request| engine.add(request).expect("the request is fine");
    let ids: Vec<SequenceId> = prompts.iter().map(request).map(add).collect();
    let (mut said, mut events) = (vec![Said::new(); ids.len()], Vec::new());
    while !engine.is_idle() {
        engine.step(&mut events).expect("the step succeeds");
        for event in events.drain(..) {
            if let Event::Token { id, token, logprob } = event {
                let at = ids.iter().position(|known| *known == id).expect("a sequence of ours");
                said[at].push((token, logprob.expect("it was asked for").to_bits()));
            }
        }
    }
    said
}

/// The ids of a reference.
pub fn ids(reference: &Path) -> Vec<u32> {
    let file = SafeFile::open(reference).expect("a reference");
    let bytes = file.tensor("input_ids").expect("ids").2;
    let ids = bytes.as_slice().as_chunks::<8>().0.iter().map(|id| i64::from_le_bytes(*id));
    ids.map(|id| u32::try_from(id).expect("an id")).collect()
}

/// The reference models of a folder; none, loudly, where it is absent.
fn models(folder: &str) -> Vec<std::path::PathBuf> {
    let Some(folder) = crate::reference(folder) else { return Vec::new() };
    let entries = folder.read_dir().expect("a directory").flatten().map(|entry| entry.path());
    let mut found: Vec<_> = entries.filter(|path| path.join("config.json").is_file()).collect();
    found.sort();
    assert!(!found.is_empty(), "{} holds no model", folder.display());
    found
}

/// Holds that how a model's rows are cut into steps, and who shares them, changes no bit.
pub fn no_bit_changes(name: &str, ids: &[u32], open: impl Fn() -> Opened) {
    let engine = |chunk, sequences| engine(open(), chunk, sequences);
    let prompts = [ids, &ids[..19], &ids[..5]];
    let solo = prompts.map(|prompt| answers(&mut engine(64, 1), &[prompt]).remove(0));
    assert!(solo.iter().all(|said| said.len() == COUNT), "{name}: it ended early");
    for chunk in [1, 7] {
        let said = answers(&mut engine(chunk, 1), &prompts[..1]);
        assert_eq!(said[0], solo[0], "{name}: chunks of {chunk}");
    }
    for chunk in [64, 7] {
        let said = answers(&mut engine(chunk, 3), &prompts);
        assert_eq!(said, solo, "{name}: three at once, chunks of {chunk}");
    }
}

#[test]
fn chunks_and_company_change_no_bit_of_any_family() {
    let known = models("models").into_iter().chain(models("mlx"));
    for model in &known.chain(crate::memory::models()).collect::<Vec<_>>() {
        let name = model.to_str().expect("a path in UTF-8");
        let open = || Opened::open(name, Form::Fast, KvKind::F16).expect(name);
        no_bit_changes(name, &ids(&model.join("reference.safetensors")), open);
    }
}

#[test]
fn packed_caches_change_little_and_no_bit_with_chunks_and_company() {
    let prompt: Vec<u32> = (0..70).map(|i| 5 + i * 37 % 400).collect();
    let open = |kv| Opened::open("russet-guide", Form::Fast, kv).expect("the built-in model");
    let mut whole = engine(open(KvKind::F16), 64, 1);
    let exact = answers(&mut whole, &[&prompt]).remove(0);
    for (kv, near) in [(KvKind::Q8_0, 0.02), (KvKind::Q4_0, 0.5)] {
        no_bit_changes("russet-guide", &prompt, || open(kv));
        let said = answers(&mut engine(open(kv), 64, 1), &[&prompt]).remove(0);
        // The first id depends on the whole prompt through what was packed.
        let (got, wanted) = (f32::from_bits(said[0].1), f32::from_bits(exact[0].1));
        assert!(got != wanted && (got - wanted).abs() < near, "{kv:?}: {got}, not {wanted}");
    }
}

#[test]
fn a_latent_cache_takes_a_latent_and_one_rotated_key_for_each_position() {
    let Some(root) = crate::reference("models") else { return };
    for family in ["deepseek_v2", "deepseek_v3"] {
        let dir = root.join(family);
        let config = std::fs::read(dir.join("config.json")).expect("a configuration");
        let config: serde_json::Value = serde_json::from_slice(&config).expect("JSON");
        let of = |key: &str| config[key].as_u64().expect(key) as usize;
        let name = dir.to_str().expect("a path in UTF-8");
        for (kv, flag, size) in [(KvKind::F16, "f16", 2), (KvKind::F32, "f32", 4)] {
            let numbers = of("kv_lora_rank") + of("qk_rope_head_dim");
            let expected = numbers * of("num_hidden_layers") * size;
            let shown = crate::ok(&["show", name, "--kv-type", flag]);
            assert!(shown.contains(&format!(" {expected} bytes a token in {flag}")), "{shown}");
            let bytes = [1, 2].map(|pages| {
                let opened = Opened::open(name, Form::Exact, kv).expect(name);
                let weights = opened.weights().expect(name);
                let pages = vec![pages; opened.plan.program.caches.len()];
                let sizes = Sizes { rows: 1, outputs: 1, pages, sampled: 2, states: 0 };
                let cpu = Cpu::new(Isa::best(), 1);
                cpu.load(Arc::new(opened.plan.program), weights, sizes).expect(name).bytes()
            });
            assert_eq!(bytes[1] - bytes[0], expected * PAGE, "{family}: what a page takes");
        }
    }
}
