//! The one list of operations. A line is an operation, its method and its operands; from it come
//! the structs, the enum, their names and the trait that every backend implements.

use crate::program::{Act, CacheRef, Part, RopeId, Slot, WeightId};

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
    /// `y = table[id] * scale` for a row that brings an id; a row that brings an embedding gives
    /// it as it is.
    Embed embed {
        /// The table, (vocab, dim).
        table: WeightId,
        /// The rows, (rows, dim).
        y: Slot,
        /// Factor on the table's rows.
        scale: f32,
    }
    /// `y = x / sqrt(mean(x^2) + eps) * w`, over each run of `dim` values of a row.
    RmsNorm rms_norm {
        /// Input, (rows, n * dim).
        x: Slot,
        /// Gains, (dim).
        w: WeightId,
        /// Output, as wide as the input; may be the input.
        y: Slot,
        /// Values normalised together.
        dim: u32,
        /// Added to the mean square.
        eps: f32,
    }
    /// `y (+)= W x + b` for several weights that share their input.
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
        /// Values, (rows, kv_heads * head_dim).
        v: Slot,
        /// Where.
        cache: CacheRef,
    }
    /// Softmax attention of each row over what its sequence's mask and the window let it see.
    Attend attend {
        /// Queries, (rows, heads * head_dim).
        q: Slot,
        /// Output, (rows, heads * head_dim).
        y: Slot,
        /// Keys and values.
        cache: CacheRef,
        /// Query heads; each run of heads / kv_heads shares a key head.
        heads: u32,
        /// Factor on the scores.
        scale: f32,
        /// How many positions a row sees, itself included.
        window: Option<u32>,
    }
    /// `y = act(gate) * up`.
    GatedAct gated_act {
        /// What the activation works on.
        gate: Slot,
        /// What it gates.
        up: Slot,
        /// Output; may be `gate`.
        y: Slot,
        /// The activation.
        act: Act,
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
