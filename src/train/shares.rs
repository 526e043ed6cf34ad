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
//! to go forward goes forward once more on its way back (Gao et al., *Scaling Deep Contrastive Learning Batch Size under
//! Memory Limited Setup*, 2021). Loss and update are the same on every rank.

use std::ops::Range;

use super::{Rows, Trainer, part};
use crate::crew::{Alone, Crew, Halves, agree, divides};
use crate::error::{Error, Result};
use crate::plan::{Section, SlotId};
use crate::run::Runner;
use crate::siamese::slots;

/// What rank 0 tells the others when there is no further step.
const END: u64 = 0;

impl<R: Runner> Trainer<R> {
    /// Takes part in a crew: shares of a step are dealt to its ranks, all of which have made a trainer of the same
    /// start. Rank 0 then [runs](Trainer::run), and [dismisses](Trainer::dismiss) the others, which
    /// [follow](Trainer::follow). What is trained is the same to the bit whoever takes part, on equal devices.
    ///
    /// # Errors
    /// [`Error::Config`] where the shares cannot be dealt to so many; [`Error::Crew`] naming a rank that has another
    /// program, other settings, images or weights.
    pub fn join(&mut self, mut crew: Box<dyn Crew>) -> Result<()> {
        let (shares, ranks) = (self.config.shares, crew.ranks());
        if !divides(shares, ranks) {
            let reason = format!(
                "{shares} cannot be dealt to {ranks} ranks: they may be as many, or twice as many, four times and so on"
            );
            return Err(Error::config("--shares", reason));
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
        agree(&mut *crew, &have)?;
        self.take_crew(crew);
        Ok(())
    }

    /// Tells the other ranks that there is no further step, and goes on alone.
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
        let [loss, back, update] = [Section::Loss, Section::Backward, Section::Update].map(|part| plan.section(part));
        let (gradients, state) = (plan.id(slots::GRADIENTS), plan.find(slots::STATE));
        let shares = self.config.shares;
        let own = self.crew.own(shares);

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
        let mut sums = Halves::default();
        for share in own.clone() {
            if share > own.start {
                self.write_share(rows, share)?;
                run(&mut self.runner, there.clone())?;
            }
            self.runner.write(gradient.share, part(&by_embeddings, share, shares))?;
            run(&mut self.runner, back.clone())?;
            let mut sum = self.floats(gradients)?;
            if let Some(state) = state {
                // What the share makes of it.
                let after = self.floats(state)?;
                sum.extend(after.iter().zip(&before).map(|(after, before)| after - before));
                self.runner.write(state, before.as_slice())?;
            }
            sums.push(sum);
        }
        let mut sum = sums.sum();
        self.crew.sum(&mut sum)?;
        let (sum, changes) = sum.split_at(sum.len() - before.len());
        self.runner.write(gradients, sum)?;
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

/// Tells the other ranks what is next.
fn tell(crew: &mut dyn Crew, next: u64) -> Result<()> {
    if crew.ranks() == 1 {
        return Ok(());
    }
    crew.broadcast(&mut next.to_le_bytes().to_vec())
}
