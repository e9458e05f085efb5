//! What a process has one of: backends with their threads, and the ledger of its memory.

use std::sync::{Arc, OnceLock};

use cpu::{Cpu, Isa};
use ops::Backend;
use ops::reference::Reference;

use crate::error::Error;
use crate::machine::{self, Machine};

/// What computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendKind {
    /// The processor's vector units and a team of threads.
    #[default]
    Cpu,
    /// Scalar code written to be read: slow, and right.
    Reference,
}

/// What a runtime may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Threads; one for each core that is not an efficiency core if `None`.
    pub threads: Option<usize>,
    /// Vector instructions; the best that the processor has if `None`.
    pub isa: Option<Isa>,
    /// What computes.
    pub backend: BackendKind,
    /// Bytes for caches and buffers of all models; what is free now if `None`.
    pub memory: Option<usize>,
}

/// The backend and the ledger that all models of a process share.
pub struct Runtime {
    inner: engine::Runtime,
    isa: Isa,
    threads: usize,
    free_bytes: usize,
}

static SHARED: OnceLock<Arc<Runtime>> = OnceLock::new();

impl Runtime {
    /// Starts the runtime of this process.
    ///
    /// # Errors
    /// Where there is one already.
    pub fn start(resources: Resources) -> Result<Arc<Runtime>, Error> {
        let mut fresh = None;
        let shared = SHARED.get_or_init(|| {
            let runtime = Arc::new(Runtime::new(resources));
            fresh = Some(runtime.clone());
            runtime
        });
        fresh.map(|_| shared.clone()).ok_or(Error::RuntimeExists)
    }

    /// The runtime of this process; it is started with the defaults if there is none.
    pub fn shared() -> Arc<Runtime> {
        SHARED.get_or_init(|| Arc::new(Runtime::new(Resources::default()))).clone()
    }

    fn new(resources: Resources) -> Runtime {
        let isa = resources.isa.unwrap_or_else(Isa::best);
        let (backend, threads): (Arc<dyn Backend>, usize) = match resources.backend {
            BackendKind::Cpu => {
                let cpu = Cpu::new(isa, resources.threads.unwrap_or_else(machine::threads));
                let threads = cpu.threads();
                (Arc::new(cpu), threads)
            }
            BackendKind::Reference => (Arc::new(Reference), 1),
        };
        let free = usize::try_from(Machine::find().memory_available_bytes).unwrap_or(usize::MAX);
        let budget = resources.memory.unwrap_or(free);
        let inner = engine::Runtime::new(vec![backend], budget);
        Runtime { inner, isa, threads, free_bytes: budget }
    }

    /// What computes.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.inner.backends()[0]
    }

    /// The vector instructions in use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The threads in use.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Who holds how much memory.
    pub fn ledger(&self) -> &engine::Ledger {
        self.inner.ledger()
    }

    pub(crate) fn engines(&self) -> &engine::Runtime {
        &self.inner
    }

    /// Bytes that a new model may take for its caches.
    pub(crate) fn free_bytes(&self) -> usize {
        self.free_bytes.saturating_sub(self.ledger().used())
    }
}
