//! A step that is cut into [shares](crate::config::Config::shares): who computes which, and where they meet.
//!
//! ```text
//! each share     gather ▸ forward                   its embeddings
//! all            embeddings of all ▸ loss           the gradient by them
//! each share     gather ▸ forward ▸ backward        its gradient of the parameters
//! all            the sum of all gradients ▸ update
//! ```
//!
//! The shares of a rank take turns on its device, which so needs memory for one of them. A share that is not the last
//! to go forward goes forward once more on its way back (Gao et al., *Scaling Deep Contrastive Learning Batch Size
//! under Memory Limited Setup*, 2021). Loss and update are the same on every rank.

use std::ops::Range;

use super::{Rows, Trainer, part};
use crate::crew::{Alone, Crew, Halves, agree};
use crate::error::{Error, Result};
use crate::plan::{Section, SlotId};
use crate::run::Runner;
use crate::siamese::slots;

/// What rank 0 tells the others when there is no further step.
const END: u64 = 0;

impl<R: Runner> Trainer<R> {
    /// Makes sure that all ranks train the same.
    pub(super) fn agree(&mut self) -> Result<()> {
        if self.crew.ranks() == 1 {
            return Ok(());
        }
        let config = serde_json::to_vec(&self.config).expect("plain data");
        let data = self.origin.as_ref().map_or(Vec::new(), |origin| origin.digest.clone().into_bytes());
        let labels = self.sampler.classes(&(0..self.sampler.images() as u32).collect::<Vec<_>>());
        let start = self.checkpoint()?;
        let moments = start.moments.iter().flatten();
        let weights: Vec<f32> =
            [&start.parameters, &start.state].into_iter().chain(moments).flatten().copied().collect();
        let have: [(&str, &[u8]); 6] = [
            ("another version of the program", env!("CARGO_PKG_VERSION").as_bytes()),
            ("other settings", &config),
            ("another data set", &data),
            ("other labels", bytemuck::cast_slice(&labels)),
            ("another step to go on from", &start.step.to_le_bytes()),
            ("other weights", bytemuck::cast_slice(&weights)),
        ];
        agree(&mut *self.crew, &have)
    }

    /// Tells the other ranks that there is no further step, and does none any more itself where there were others.
    ///
    /// # Errors
    /// [`Error::Crew`] where a rank is gone.
    pub fn dismiss(&mut self) -> Result<()> {
        let mut crew = self.take_crew(Box::new(Alone));
        tell(&mut *crew, END)?;
        crew.leave();
        Ok(())
    }

    /// Does the steps that rank 0 does, until that says that there is no other.
    ///
    /// # Errors
    /// What the device reports; [`Error::Crew`] where a rank is gone, or has left this one behind.
    pub fn follow(&mut self) -> Result<()> {
        loop {
            let mut told = Vec::new();
            self.crew.broadcast(&mut told)?;
            let told = told.try_into().map_or(END, u64::from_le_bytes);
            if told == END {
                self.crew.leave();
                return Ok(());
            }
            if told != self.begun + 1 {
                let reason = format!("it is at step {}, rank 0 at step {told}", self.begun + 1);
                return Err(Error::Crew { rank: self.crew.rank(), reason });
            }
            self.step(R::run)?;
            // Rank 0 judges what came of it.
            self.runner.collect(0)?;
            self.reported = self.begun;
        }
    }

    /// Tells the other ranks to do the next step.
    pub(super) fn call_up(&mut self) -> Result<()> {
        tell(&mut *self.crew, self.begun + 1)
    }

    fn take_crew(&mut self, crew: Box<dyn Crew>) -> Box<dyn Crew> {
        // What was read ahead is of other shares.
        if let Some(stream) = &mut self.stream {
            stream.feed = None;
        }
        std::mem::replace(&mut self.crew, crew)
    }

    /// Runs the plan on the rows of a step, calls by `run`.
    pub(super) fn pass(&mut self, rows: &Rows, mut run: impl FnMut(&mut R, Range<usize>) -> Result<()>) -> Result<()> {
        let plan = self.runner.plan();
        let &[embeddings, gradient] = plan.meetings() else {
            self.write_share(rows, 0)?;
            let all = self.runner.plan().all();
            return run(&mut self.runner, all);
        };
        let there = plan.section(Section::Gather).start..plan.section(Section::Forward).end;
        let [loss, back, sum, update] =
            [Section::Loss, Section::Backward, Section::Sum, Section::Update].map(|part| plan.section(part));
        let (gradients, state) = (plan.id(slots::GRADIENTS), plan.find(slots::STATE));
        let shares = self.config.shares;
        let own = self.crew.own(shares);
        assert_eq!(own.len(), self.turns, "shares of a rank whose crew is dismissed");

        // The first comes last: its way back is the first.
        let mut made = Vec::new();
        for share in own.clone().skip(1).chain([own.start]) {
            self.write_share(rows, share)?;
            run(&mut self.runner, there.clone())?;
            made.push(self.floats(embeddings.share)?);
        }
        made.rotate_right(1);
        let made = made.concat();
        let mut all = vec![0.0f32; self.runner.plan().slot(embeddings.all).len()];
        self.crew.gather(bytemuck::cast_slice(&made), bytemuck::cast_slice_mut(&mut all))?;
        self.runner.write(embeddings.all, all.as_slice())?;
        run(&mut self.runner, loss)?;
        let by_embeddings = self.floats(gradient.all)?;

        let before = state.map_or(Ok(Vec::new()), |state| self.floats(state))?;
        let mut changes = Halves::default();
        for (turn, share) in own.clone().enumerate() {
            if turn > 0 {
                self.write_share(rows, share)?;
                run(&mut self.runner, there.clone())?;
            }
            self.runner.write(gradient.share, part(&by_embeddings, share, shares))?;
            run(&mut self.runner, back.clone())?;
            for call in due(turn, own.len()) {
                run(&mut self.runner, sum.start + call..sum.start + call + 1)?;
            }
            if let Some(state) = state {
                let after = self.floats(state)?;
                changes.push(after.iter().zip(&before).map(|(after, before)| after - before).collect::<Vec<_>>());
                self.runner.write(state, before.as_slice())?;
            }
        }
        let mut changes = state.map_or(Vec::new(), |_| changes.sum());
        if self.crew.ranks() > 1 {
            let mut all = self.floats(gradients)?;
            let own = all.len();
            all.extend(changes);
            self.crew.sum(&mut all)?;
            changes = all.split_off(own);
            self.runner.write(gradients, all.as_slice())?;
        }
        if let Some(state) = state {
            let mean = before.iter().zip(changes).map(|(before, change)| before + change / shares as f32);
            self.runner.write(state, mean.collect::<Vec<_>>().as_slice())?;
        }
        run(&mut self.runner, update)
    }

    fn floats(&mut self, slot: SlotId) -> Result<Vec<f32>> {
        Ok(self.runner.read(slot)?.floats().to_vec())
    }
}

/// The calls of [`Section::Sum`] that are due once the gradients of a turn are there, by their places, so that behind
/// the last turn the sum of all is where those were. For each round one keeps what is there and one adds what was kept:
/// like counting in binary, where a carry adds.
fn due(turn: usize, turns: usize) -> Vec<usize> {
    let (keep, add) = (|round: u32| 2 * round as usize, |round: u32| 2 * round as usize + 1);
    let carries = turn.trailing_ones();
    let calls = (0..carries).map(add);
    if turn + 1 < turns {
        return calls.chain([keep(carries)]).collect();
    }
    // What is kept still, from the sum of the fewest on.
    calls.chain((carries + 1..usize::BITS).filter(|round| turns >> round & 1 == 1).map(add)).collect()
}

/// Tells the other ranks what is next.
fn tell(crew: &mut dyn Crew, next: u64) -> Result<()> {
    if crew.ranks() == 1 {
        return Ok(());
    }
    crew.broadcast(&mut next.to_le_bytes().to_vec())
}
