//! Cases of operations that keep a state along a sequence, and of the copies around them.

use super::cases::Builder;
use super::weights::random_tensor;
use super::{Case, Tolerance};
use crate::list::{Columns, DeltaNet, Linear, ShortConv};
use crate::program::{Act, Domain, Form, Part, Slot, StateRef};
use blocks::{Kind, Tensor};

/// Lengths that end before, at and after a boundary of 64.
const LENGTHS: [u32; 4] = [130, 1, 64, 7];

/// Every case.
pub fn cases() -> Vec<Case> {
    let mut cases = vec![columns()];
    cases.extend([(40, 4, 1, Act::Silu), (17, 2, 3, Act::Sigmoid), (8, 1, 1, Act::Silu)].map(conv));
    let nets = [
        (2, 4, 16, 16, false),
        (2, 4, 16, 16, true),
        (1, 1, 5, 3, false),
        (2, 6, 24, 40, false),
        (4, 4, 128, 128, true),
    ];
    cases.extend(nets.map(delta_net));
    cases
}

/// Heads of which each holds two things, parted and put together in another order.
fn columns() -> Case {
    let mut b = Builder::new(24);
    let (first, second) = (b.slot(9, Domain::Rows), b.slot(15, Domain::Rows));
    let y = b.slot(24, Domain::Rows);
    let copy = |x, start, stride, take, y, at, pitch| Columns {
        x,
        start,
        stride,
        take,
        count: 3,
        y,
        at,
        pitch,
    };
    b.op(copy(Slot(0), 0, 8, 3, first, 0, 3));
    b.op(copy(Slot(0), 3, 8, 5, second, 0, 5));
    b.op(copy(second, 0, 5, 5, y, 0, 8));
    b.op(copy(first, 0, 3, 3, y, 5, 8));
    b.finish("columns".to_owned(), y, &[5, 1], Tolerance::Bits)
}

fn conv((channels, kernel, dilation, act): (usize, usize, usize, Act)) -> Case {
    let mut b = Builder::new(channels);
    let w = b.weight(random_tensor(Kind::BF16, channels, kernel, 31));
    let y = b.slot(channels, Domain::Rows);
    // The state is not the first in its slot.
    b.state(3);
    let state = b.state((kernel - 1) * dilation * channels);
    b.op(ShortConv { x: Slot(0), w, y, dilation: dilation as u32, act, state });
    let name = format!("short_conv {channels}x{kernel}, dilation {dilation}, {act:?}");
    b.finish(name, y, &LENGTHS, Tolerance::Relative(1e-5))
}

fn delta_net((k_heads, v_heads, k_dim, v_dim, tiled): (usize, usize, usize, usize, bool)) -> Case {
    let width = 2 * k_heads * k_dim + v_heads * v_dim;
    let mut b = Builder::new(width);
    let mut project = |seed| {
        let weight = b.weight(random_tensor(Kind::F32, v_heads, width, seed));
        let y = b.slot(v_heads, Domain::Rows);
        Part { weight, bias: None, y, add: false, scale: 1.0, form: Form::Exact }
    };
    let parts = vec![project(41), project(42)];
    let (decay, beta) = (parts[0].y, parts[1].y);
    b.op(Linear { x: Slot(0), parts });
    let rates: Vec<f32> = (0..v_heads).map(|i| -0.02 * (i + 1) as f32).collect();
    let rate = b.weight(Tensor::from_f32(1, v_heads, &rates));
    let bias = b.weight(random_tensor(Kind::F32, 1, v_heads, 43));
    let y = b.slot(v_heads * v_dim, Domain::Rows);
    let state = b.state(v_heads * k_dim * v_dim);
    b.op(DeltaNet {
        qkv: Slot(0),
        decay,
        beta,
        rate,
        bias,
        y,
        k_heads: k_heads as u32,
        v_heads: v_heads as u32,
        k_dim: k_dim as u32,
        v_dim: v_dim as u32,
        tiled,
        eps: 1e-6,
        state,
    });
    let name = format!("delta_net {k_heads}x{k_dim} to {v_heads}x{v_dim}, tiled {tiled}");
    b.finish(name, y, &LENGTHS, Tolerance::Relative(1e-4))
}

impl Builder {
    pub(super) fn state(&mut self, width: usize) -> StateRef {
        let offset = self.program.state_width;
        self.program.state_width += width;
        StateRef { offset, width }
    }
}
