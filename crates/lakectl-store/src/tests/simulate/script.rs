//! What goes wrong at which step, the same for a simulated disk and for a simulated object store.
//!
//! Every operation of every writer is a step. Writers take turns: at each step the one that goes on is drawn by the
//! seed, so a run with one seed is always the same run.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};

use crate::object::lock;

/// A way for a step to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It fails, and nothing happened.
    Error,
    /// There is no space left.
    Full,
    /// A write keeps only a part of its bytes and says nothing.
    Short,
    /// It is done, and the answer says otherwise.
    LostAnswer,
    /// One bit of what is read is another.
    Flip,
    /// What is read ends early.
    Cut,
    /// Every process dies before the step.
    DieBefore,
    /// Every process dies after the step.
    DieAfter,
}

impl Wrong {
    pub(super) const ALL: [Self; 8] = [
        Self::Error,
        Self::Full,
        Self::Short,
        Self::LostAnswer,
        Self::Flip,
        Self::Cut,
        Self::DieBefore,
        Self::DieAfter,
    ];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Error => "nth operation fails",
            Self::Full => "no space left at the nth operation",
            Self::Short => "short write at the nth operation",
            Self::LostAnswer => "answer of the nth operation lost after it was done",
            Self::Flip => "bit flipped in what the nth operation reads",
            Self::Cut => "end cut off what the nth operation reads",
            Self::DieBefore => "crash before the nth operation",
            Self::DieAfter => "crash after the nth operation",
        }
    }
}

/// What a step does; not everything can go wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Asks for names and sizes.
    Look,
    /// Asks for bytes.
    Read,
    /// Brings new bytes.
    Write,
    /// Changes names, or makes them safe.
    Change,
}

impl Wrong {
    fn fits(self, kind: Kind) -> bool {
        match self {
            Self::Error | Self::DieBefore | Self::DieAfter => true,
            Self::Flip | Self::Cut => kind == Kind::Read,
            Self::Short => kind == Kind::Write,
            Self::Full | Self::LostAnswer => matches!(kind, Kind::Write | Kind::Change),
        }
    }
}

/// Drawn numbers (splitmix64).
#[derive(Clone, Debug)]
pub(super) struct Draw(pub(super) u64);

impl Draw {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

#[derive(Debug)]
struct Stage {
    draw: Draw,
    steps: u64,
    /// At this step this goes wrong.
    wrong: Option<(u64, Wrong)>,
    met: bool,
    dead: bool,
    alive: BTreeSet<usize>,
    waiting: BTreeSet<usize>,
    /// Whose turn it is.
    turn: Option<usize>,
}

/// The plan of one run, shared by its writers.
#[derive(Clone, Debug)]
pub(super) struct Script {
    stage: Arc<(Mutex<Stage>, Condvar)>,
}

/// What a step is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Go {
    Well,
    Wrong(Wrong),
    /// The process is dead.
    Dead,
}

impl Script {
    /// Writers `0..writers`, in an order drawn by `seed`; `wrong` happens at its step.
    pub(super) fn new(seed: u64, writers: usize, wrong: Option<(u64, Wrong)>) -> Self {
        let stage = Stage {
            draw: Draw(seed),
            steps: 0,
            wrong,
            met: false,
            dead: false,
            alive: (0..writers).collect(),
            waiting: BTreeSet::new(),
            turn: None,
        };
        Self {
            stage: Arc::new((Mutex::new(stage), Condvar::new())),
        }
    }

    /// Waits for the writer's turn and takes a step.
    pub(super) fn step(&self, writer: usize, kind: Kind) -> Go {
        let (stage, changed) = &*self.stage;
        let mut stage = lock(stage);
        stage.waiting.insert(writer);
        if stage.turn == Some(writer) {
            stage.turn = None;
        }
        loop {
            if stage.turn.is_none() && stage.waiting.is_superset(&stage.alive) {
                let choice = stage.waiting.len();
                let choice = stage.draw.below(choice);
                stage.turn = stage.waiting.iter().nth(choice).copied();
                changed.notify_all();
            }
            if stage.turn == Some(writer) {
                break;
            }
            stage = changed.wait(stage).unwrap();
        }
        stage.waiting.remove(&writer);
        stage.steps += 1;
        if stage.dead {
            return Go::Dead;
        }
        match stage.wrong {
            Some((step, wrong)) if step == stage.steps && wrong.fits(kind) => {
                stage.met = true;
                stage.dead = matches!(wrong, Wrong::DieBefore | Wrong::DieAfter);
                Go::Wrong(wrong)
            }
            _ => Go::Well,
        }
    }

    /// A writer that takes no more steps.
    pub(super) fn leave(&self, writer: usize) {
        let (stage, changed) = &*self.stage;
        let mut stage = lock(stage);
        stage.alive.remove(&writer);
        if stage.turn == Some(writer) {
            stage.turn = None;
        }
        if stage.turn.is_none()
            && !stage.alive.is_empty()
            && stage.waiting.is_superset(&stage.alive)
        {
            let choice = stage.waiting.len();
            let choice = stage.draw.below(choice);
            stage.turn = stage.waiting.iter().nth(choice).copied();
        }
        changed.notify_all();
    }

    /// Steps taken so far.
    pub(super) fn steps(&self) -> u64 {
        lock(&self.stage.0).steps
    }

    /// Whether something went wrong.
    pub(super) fn met(&self) -> bool {
        lock(&self.stage.0).met
    }

    /// A number drawn from the same seed, for how badly something goes wrong.
    pub(super) fn draw(&self, end: usize) -> usize {
        lock(&self.stage.0).draw.below(end.max(1))
    }

    /// Spoils bytes that are read.
    pub(super) fn spoil(&self, wrong: Wrong, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let at = self.draw(bytes.len());
        match wrong {
            Wrong::Flip => bytes[at] ^= 1 << self.draw(8),
            _ => bytes.truncate(at),
        }
    }
}
