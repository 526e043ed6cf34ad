//! `--crew`: the other programs that a command works with.

use clap::ValueEnum;
use siamese::Result;
use siamese::crew::Crew;

/// What finds the other programs.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CrewArg {
    /// MPI: the ranks that mpirun or srun starts
    Mpi,
}

/// Number of a rank among those of its machine, and how many they are.
pub type Local = (usize, usize);

impl CrewArg {
    /// Joins the others: from here on this program is one of several ranks.
    ///
    /// # Errors
    /// [`siamese::Error::Config`] where the program is built without.
    #[cfg(feature = "mpi")]
    pub fn join(self) -> Result<(Box<dyn Crew>, Local)> {
        let crew = siamese::crew::Mpi::join();
        crate::outcome::be_rank(crew.rank());
        let local = crew.local();
        Ok((Box::new(crew), local))
    }

    #[cfg(not(feature = "mpi"))]
    pub fn join(self) -> Result<(Box<dyn Crew>, Local)> {
        let reason = "this program is built without MPI; `cargo install --path . --features mpi` builds it with, where \
                      mpicc and libclang are, and `mpirun -n 4 siamese …` starts four ranks of it";
        Err(siamese::Error::config("--crew", reason))
    }
}
