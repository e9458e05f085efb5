//! The one list of operations. A line is an operation, its method and its operands; from it come
//! the structs, the enum, their names and the trait that every backend implements.

use crate::hashing::Hashing;
use crate::program::{
    Act, CacheRef, ExpertPart, Key, Part, Reach, RopeId, Routing, Slot, StateRef, Temperature, Up,
    WeightId,
};

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident $method:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)?
    })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq)]
            pub struct $name { $($(#[$field_doc])* pub $field: $type),* }

            impl From<$name> for Op {
                fn from(op: $name) -> Op {
                    Op::$name(op)
                }
            }
        )*

        /// An operation of a program.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Op { $($(#[$doc])* $name($name)),* }

        impl Op {
            /// Every operation's name, in the list's order.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($method)),*];

            /// The operation's name.
            pub fn name(&self) -> &'static str {
                match self { $(Op::$name(_) => stringify!($method)),* }
            }
        }

        /// One method per operation: a backend that misses one does not compile.
        pub trait Kernels {
            $($(#[$doc])* fn $method(&mut self, op: &$name);)*

            /// Runs the method that `op` names.
            #[inline]
            fn dispatch(&mut self, op: &Op) {
                match op { $(Op::$name(op) => self.$method(op)),* }
            }
        }
    };
}

ops! {
    /// `y (+)= table[key] * scale`. A row that brings an embedding gives it as it is where its id
    /// would be the key; to a sum it adds nothing.
    Embed embed {
        /// The table, (vocab or positions, dim).
        table: WeightId,
        /// The rows, (rows, dim).
        y: Slot,
        /// Factor on the table's rows.
        scale: f32,
        /// What chooses a row of the table.
        key: Key,
        /// Whether it is added to what `y` holds.
        add: bool,
    }
    /// The rows of a table that the last ids of each row's sequence are hashed to, side by side.
    /// The ids before the step's rows are in the state.
    Recall recall {
        /// The table, (rows of all heads, width).
        table: WeightId,
        /// What each id counts as, a whole number below 2^24, (vocab, 1); itself when `None`.
        merged: Option<WeightId>,
        /// How ids choose rows.
        hashing: Hashing,
        /// The rows, (rows, heads * width).
        y: Slot,
        /// What the ids before the step counted as, oldest first, (multipliers - 1).
        state: StateRef,
    }
    /// `y (+)= x / sqrt(mean(x^2) + eps) * w`, over each run of `dim` values of a row.
    RmsNorm rms_norm {
        /// Input, (rows, n * dim).
        x: Slot,
        /// Gains: (dim) for every run, or (n * dim); all one when `None`.
        w: Option<WeightId>,
        /// Output, as wide as the input; may be the input unless it is added to.
        y: Slot,
        /// Values normalised together.
        dim: u32,
        /// Added to the mean square.
        eps: f32,
        /// Whether it is added to what `y` holds.
        add: bool,
    }
    /// `y = (x - mean(x)) / sqrt(variance(x) + eps) * w + b`, over each run of `dim` values of a
    /// row.
    LayerNorm layer_norm {
        /// Input, (rows, n * dim).
        x: Slot,
        /// Gains: (dim) for every run, or (n * dim).
        w: WeightId,
        /// Added in the end, as the gains are laid out.
        bias: Option<WeightId>,
        /// Output, as wide as the input; may be the input.
        y: Slot,
        /// Values normalised together.
        dim: u32,
        /// Added to the variance.
        eps: f32,
    }
    /// `y = scale * (a . b)`, one number for each row.
    Dot dot {
        /// One factor, (rows, n).
        a: Slot,
        /// The other, (rows, n).
        b: Slot,
        /// The products, (rows, 1).
        y: Slot,
        /// Factor on them.
        scale: f32,
    }
    /// `x = x * w`, in place.
    Scale scale {
        /// The rows.
        x: Slot,
        /// One factor, (1).
        w: WeightId,
    }
    /// `x = cap * tanh(x / cap)`, in place.
    SoftCap soft_cap {
        /// The rows.
        x: Slot,
        /// What no result exceeds.
        cap: f32,
    }
    /// `y (+)= (W x + b) * scale` for several weights that share their input.
    Linear linear {
        /// Input, (rows, cols).
        x: Slot,
        /// The products, independent of each other.
        parts: Vec<Part>,
    }
    /// Rotates pairs of values of each head by the row's position, in place.
    Rope rope {
        /// Heads, (rows, heads * head_dim).
        x: Slot,
        /// Width of a head.
        head_dim: u32,
        /// Which rotation.
        rotation: RopeId,
    }
    /// Stores keys and values of each row at its position.
    KvWrite kv_write {
        /// Keys, (rows, kv_heads * head_dim).
        k: Slot,
        /// Values, (rows, kv_heads * head_dim); none where they are part of the keys.
        v: Option<Slot>,
        /// Where.
        cache: CacheRef,
    }
    /// Softmax attention of each row over what its sequence's mask and its reach let it see.
    Attend attend {
        /// Queries, (rows, heads * head_dim).
        q: Slot,
        /// Output, (rows, heads * width of a value).
        y: Slot,
        /// Keys and values.
        cache: CacheRef,
        /// Query heads; each run of heads / kv_heads shares a key head.
        heads: u32,
        /// Factor on the scores.
        scale: f32,
        /// How that factor grows with the row's position.
        temperature: Option<Temperature>,
        /// Scores become `cap * tanh(score / cap)`.
        cap: Option<f32>,
        /// For each head a score that takes part in the softmax and has no value, (heads).
        sinks: Option<WeightId>,
        /// Which positions a row sees.
        reach: Reach,
    }
    /// `y = act(gate) * up`.
    GatedAct gated_act {
        /// What the activation works on; of width 1 it serves the whole row.
        gate: Slot,
        /// What it gates.
        up: Up,
        /// Output; may be `gate` where it has its width, and what it gates.
        y: Slot,
        /// The activation.
        act: Act,
    }
    /// Chooses experts for each row: those of the highest scores, the first of equals, in the
    /// order of their scores.
    Route route {
        /// What the router says of each expert, (rows, experts).
        logits: Slot,
        /// Added to the scores for the choice, and for it only, (experts).
        correction: Option<WeightId>,
        /// Factor on each expert's weight, (experts).
        expert_scale: Option<WeightId>,
        /// How it chooses.
        routing: Routing,
        /// The chosen experts' numbers, then their weights, (rows, 2 * active).
        y: Slot,
    }
    /// `y[c] = W[e_c] x + b[e_c]`, the product of each row with the matrices of the experts `e_c`
    /// that it was routed to.
    LinearAt linear_at {
        /// Input: (rows, cols), or (rows, active * cols) with an input for each choice.
        x: Slot,
        /// What `route` chose, (rows, 2 * active).
        routes: Slot,
        /// How many experts there are.
        experts: u32,
        /// Whether results are multiplied by the route's weights.
        weighted: bool,
        /// The products, independent of each other.
        parts: Vec<ExpertPart>,
    }
    /// `y (+)= scale * (x[0] + x[1] + ...)`, the runs of a row, each as wide as `y`.
    Combine combine {
        /// The runs, (rows, n * width).
        x: Slot,
        /// Their sum, (rows, width).
        y: Slot,
        /// Factor on the sum.
        scale: f32,
        /// Whether it is added to what `y` holds.
        add: bool,
    }
    /// Copies `count` runs of `take` columns of each row: run i from `start + i * stride` to
    /// `at + i * pitch`. What files fuse head by head is parted so, and heads put together.
    Columns columns {
        /// Input.
        x: Slot,
        /// The first run's first column.
        start: u32,
        /// From one run's first column to the next one's.
        stride: u32,
        /// Columns in a run.
        take: u32,
        /// Runs.
        count: u32,
        /// Output; its other columns keep what they hold.
        y: Slot,
        /// Where the first run goes.
        at: u32,
        /// From there to where the next one goes.
        pitch: u32,
    }
    /// `y[t, c] = act(sum_j w[c, j] * x[t - (kernel - 1 - j) * dilation, c])`: a causal convolution
    /// of each channel along its sequence. What came before the step's rows is in the state, what
    /// came before the sequence is zero.
    ShortConv short_conv {
        /// Input, (rows, channels).
        x: Slot,
        /// Weights, (channels, kernel).
        w: WeightId,
        /// Output, (rows, channels); not the input.
        y: Slot,
        /// Positions between the inputs that a product takes.
        dilation: u32,
        /// The activation.
        act: Act,
        /// The last inputs, oldest first, ((kernel - 1) * dilation, channels).
        state: StateRef,
    }
    /// The gated delta rule (Yang, Kautz and Hatamizadeh 2024, Gated Delta Networks, equation 10):
    /// each value head keeps a matrix `S`, and a row makes of it `S' = g S + k (b (v - g S^T k))^T`
    /// and gives `S'^T q`. Here `g = exp(rate * softplus(decay + bias))`, `b = sigmoid(beta)`, and
    /// `q` and `k` have unit length, `q` divided by the root of `k_dim`.
    DeltaNet delta_net {
        /// Queries and keys of `k_heads` heads, then values of `v_heads`, (rows, 2 * k_heads *
        /// k_dim + v_heads * v_dim).
        qkv: Slot,
        /// Decays, (rows, v_heads).
        decay: Slot,
        /// How much a row writes, (rows, v_heads).
        beta: Slot,
        /// Rates, negative, (v_heads).
        rate: WeightId,
        /// Biases of the decays, (v_heads).
        bias: WeightId,
        /// Output, (rows, v_heads * v_dim).
        y: Slot,
        /// Heads of queries and keys.
        k_heads: u32,
        /// Heads of values; a multiple of `k_heads`.
        v_heads: u32,
        /// Width of a query or key.
        k_dim: u32,
        /// Width of a value.
        v_dim: u32,
        /// Whether value head i goes with key head `i % k_heads`, else with `i / (v_heads /
        /// k_heads)`.
        tiled: bool,
        /// Added to a squared length.
        eps: f32,
        /// The matrices, (v_heads, k_dim, v_dim).
        state: StateRef,
    }
    /// A product for each head with weights of its own, which are `take` rows from `first + head *
    /// stride` on: `y = W x`, or `y = W^T x` where `transposed`, in f32.
    HeadLinear head_linear {
        /// Input, (rows, heads * n).
        x: Slot,
        /// The rows of all heads.
        w: WeightId,
        /// Output; that of a head is at `head * pitch`, other columns keep what they hold.
        y: Slot,
        /// Heads.
        heads: u32,
        /// The first head's first row.
        first: u32,
        /// Rows from one head's to the next one's.
        stride: u32,
        /// Rows of a head.
        take: u32,
        /// Columns from one head's output to the next one's.
        pitch: u32,
        /// Whether rows are summed, each times a value of the input.
        transposed: bool,
    }
    /// Copies the rows whose output somebody wants, in order.
    Pick pick {
        /// Every row of the step.
        x: Slot,
        /// The wanted ones.
        y: Slot,
    }
    /// Stores the index of the largest logit (the first of equals) of each row that asks for it.
    Argmax argmax {
        /// Logits, (outputs, vocab).
        logits: Slot,
    }
}
