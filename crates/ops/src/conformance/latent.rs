//! Cases of attention over a latent: products by head, and values that are part of the keys.

use super::cases::{Builder, tolerance};
use super::weights::random_tensor;
use super::{Case, Tolerance};
use crate::list::{Attend, HeadLinear, KvWrite, Linear};
use crate::program::{CacheGroup, CacheRef, Domain, Form, KvKind, Part, Reach, Slot};
use blocks::Kind;

/// Every case.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in [Kind::F32, Kind::BF16, Kind::Q8_0] {
        cases.extend([false, true].map(|transposed| by_head(kind, transposed)));
    }
    for (heads, dim, v_dim, kind) in [
        (3, 40, 32, KvKind::F32),
        (1, 20, 20, KvKind::F16),
        (20, 64, 48, KvKind::F16),
        (9, 96, 64, KvKind::Q8_0),
        (4, 64, 40, KvKind::Q4_0),
    ] {
        cases.push(attend(heads, dim, v_dim, kind));
    }
    cases
}

/// Three heads whose rows are some of those between one head and the next.
fn by_head(kind: Kind, transposed: bool) -> Case {
    let (heads, first, stride, take, cols) = (3, 2, 9, 5, 64);
    let (own, out) = if transposed { (take, cols) } else { (cols, take) };
    let mut b = Builder::new((heads * own) as usize);
    let w = b.weight(random_tensor(kind, (heads * stride) as usize, cols as usize, 51));
    let pitch = out + 3;
    let y = b.slot((heads * pitch) as usize, Domain::Rows);
    // What lies between the heads' outputs is not written.
    let parts = vec![Part {
        weight: b.weight(random_tensor(
            Kind::F32,
            (heads * pitch) as usize,
            (heads * own) as usize,
            52,
        )),
        bias: None,
        y,
        add: false,
        scale: 1.0,
        form: Form::Exact,
    }];
    b.op(Linear { x: Slot(0), parts });
    b.op(HeadLinear { x: Slot(0), w, y, heads, first, stride, take, pitch, transposed });
    let name = format!("head_linear {kind}, transposed {transposed}");
    b.finish(name, y, &[5, 1], Tolerance::Relative(1e-5))
}

fn attend(heads: usize, dim: usize, v_dim: usize, kind: KvKind) -> Case {
    let width = heads * dim;
    let mut b = Builder::new(width);
    let k = b.cached(kind, dim, 3, 61);
    b.program.caches.push(CacheGroup {
        layers: 2,
        kv_heads: 1,
        head_dim: dim as u32,
        kind,
        window: None,
        latent: true,
    });
    let cache = CacheRef { group: 0, layer: 1 };
    b.op(KvWrite { k, v: None, cache });
    let y = b.slot(heads * v_dim, Domain::Rows);
    let scale = 0.5 / dim as f32;
    b.op(Attend {
        q: Slot(0),
        y,
        cache,
        heads: heads as u32,
        scale,
        temperature: None,
        cap: None,
        sinks: None,
        reach: Reach::All,
    });
    let name = format!("attend {heads} heads to a latent of {v_dim} in {dim}, {kind:?}");
    b.finish(name, y, &[130, 1, 7], Tolerance::Relative(tolerance(kind)))
}
