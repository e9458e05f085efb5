//! How a model is sampled when nobody asks otherwise.

use engine::{Mirostat, Sampling};
use hub::Recipe;
use weights::SamplingDefaults;

/// Who says how a model is sampled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The model's files, with the names of the keys.
    Model(Vec<String>),
    /// Nobody but Russet.
    Russet,
}

/// How a model is sampled unless asked otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults {
    /// The settings.
    pub sampling: Sampling,
    /// Who says so.
    pub origin: Origin,
}

impl Defaults {
    /// What the model's files say. Where they say how to cut the choice off, what they leave out
    /// is off; where they say nothing of it, Russet's own cuts hold (those of llama.cpp).
    pub fn of(files: &SamplingDefaults) -> Defaults {
        let off = Sampling::default();
        let own = Sampling { temperature: 0.8, top_k: 40, top_p: 0.95, min_p: 0.05, ..off.clone() };
        let cuts = files.top_k.is_some() || files.top_p.is_some() || files.min_p.is_some();
        let mut base = if cuts { Sampling { temperature: 1.0, ..off } } else { own };
        let set = |to: &mut f32, from: Option<f32>| *to = from.unwrap_or(*to);
        set(&mut base.temperature, files.temperature);
        set(&mut base.top_p, files.top_p);
        set(&mut base.min_p, files.min_p);
        set(&mut base.typical_p, files.typical_p);
        set(&mut base.repeat_penalty, files.repeat_penalty);
        set(&mut base.xtc.probability, files.xtc_probability);
        set(&mut base.xtc.threshold, files.xtc_threshold);
        base.top_k = files.top_k.map_or(base.top_k, |k| k as usize);
        if let Some(back) = files.repeat_last_n {
            base.repeat_last_n = (back as usize).min(engine::limits::PENALTY_WINDOW_MAX);
        }
        if files.mirostat == Some(2) {
            let usual = Mirostat::default();
            let tau = files.mirostat_tau.unwrap_or(usual.tau);
            base.mirostat = Some(Mirostat { tau, eta: files.mirostat_eta.unwrap_or(usual.eta) });
        }
        let origin = match &files.sources[..] {
            [] => Origin::Russet,
            sources => Origin::Model(sources.to_vec()),
        };
        Defaults { sampling: base, origin }
    }

    /// These with a recipe's settings laid over them.
    #[must_use]
    pub fn under(mut self, recipe: &Recipe) -> Defaults {
        let to = &mut self.sampling;
        let mut keys = Vec::new();
        let mut take = |name: &str| {
            let value = recipe.number(name)?;
            keys.push(format!("Modelfile: {name}"));
            Some(value)
        };
        let mut set = |to: &mut f32, name: &str| *to = take(name).map_or(*to, |x| x as f32);
        set(&mut to.temperature, "temperature");
        set(&mut to.top_p, "top_p");
        set(&mut to.min_p, "min_p");
        set(&mut to.typical_p, "typical_p");
        set(&mut to.repeat_penalty, "repeat_penalty");
        set(&mut to.presence_penalty, "presence_penalty");
        set(&mut to.frequency_penalty, "frequency_penalty");
        to.top_k = take("top_k").map_or(to.top_k, |k| k.max(0.0) as usize);
        // A negative number of tokens back means all of them.
        let all = engine::limits::PENALTY_WINDOW_MAX;
        let back = |n: f64| if n < 0.0 { all } else { (n as usize).min(all) };
        to.repeat_last_n = take("repeat_last_n").map_or(to.repeat_last_n, back);
        if let Some(version) = take("mirostat") {
            to.mirostat = (version > 0.0).then(Mirostat::default);
        }
        if let Some(mirostat) = &mut to.mirostat {
            mirostat.tau = take("mirostat_tau").map_or(mirostat.tau, |x| x as f32);
            mirostat.eta = take("mirostat_eta").map_or(mirostat.eta, |x| x as f32);
        }
        if !keys.is_empty() {
            let model = match self.origin {
                Origin::Model(keys) => keys,
                Origin::Russet => Vec::new(),
            };
            self.origin = Origin::Model(keys.into_iter().chain(model).collect());
        }
        self
    }
}
