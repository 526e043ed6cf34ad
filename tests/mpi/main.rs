//! Ranks that a real `mpirun` starts: what they tell each other, what they train, and how they end. This program is its
//! own helper: with the name of a part as first argument it is a rank that plays it.

#[path = "../common/program.rs"]
mod program;

#[allow(dead_code, reason = "ranks only end by it")]
#[path = "../../src/outcome.rs"]
mod outcome;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use siamese::Error;
use siamese::crew::{Crew, Mpi, crew};

use program::{place, text};

/// Within so long a job must have ended whose rank is gone.
const SOON: Duration = Duration::from_secs(15);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["talk", folder] => talk(Path::new(folder)),
        ["fall", how] => fall(how),
        _ => {
            let trials = vec![
                Trial::test("what_ranks_hear_is_what_threads_hear", || check(what_ranks_hear_is_what_threads_hear)),
                Trial::test("a_rank_that_fails_ends_the_others", || check(a_rank_that_fails_ends_the_others)),
                Trial::test("whoever_takes_the_shares_trains_the_same", || {
                    check(whoever_takes_the_shares_trains_the_same)
                }),
                Trial::test("a_rank_that_is_killed_ends_the_others", || check(a_rank_that_is_killed_ends_the_others)),
                Trial::test("a_rank_of_another_training_is_refused", || check(a_rank_of_another_training_is_refused)),
            ];
            libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
        }
    }
}

/// Panics are failures with the words of the panic.
fn check(test: fn()) -> Result<(), Failed> {
    test();
    Ok(())
}

/// `mpirun` with so many ranks of a program.
fn mpirun(ranks: usize, program: impl AsRef<Path>, arguments: &[&str]) -> Command {
    let mut command = Command::new("mpirun");
    command.args(["-n", &ranks.to_string()]).arg(program.as_ref()).args(arguments);
    // Of Open MPI; the others need no leave.
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    command.env("OMPI_MCA_rmaps_base_oversubscribe", "1").env("RUST_BACKTRACE", "0");
    command.stdin(Stdio::null());
    command
}

/// This program.
fn helper() -> PathBuf {
    std::env::current_exe().expect("a program")
}

/// Starts a command.
fn start(mut command: Command) -> Child {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    child.unwrap_or_else(|error| {
        let program = command.get_program().display();
        panic!("{program}: {error}; on Debian and Ubuntu `apt-get install openmpi-bin` has it")
    })
}

/// What became of a program that may take no longer than that to end.
fn end(child: Child, most: Duration) -> Output {
    let id = child.id().to_string();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let output = receiver.recv_timeout(most).unwrap_or_else(|_| {
        drop(Command::new("kill").arg(id).status());
        panic!("the job has not ended after {most:?}")
    });
    output.expect("output")
}

/// Runs a command that must succeed.
fn succeed(command: Command) -> Output {
    let name = format!("{command:?}");
    let output = end(start(command), Duration::from_secs(60));
    assert!(output.status.success(), "{name}: {}\n{}", output.status, text(&output.stderr));
    output
}

// ---------------------------------------------------------------------------------------------------------------- talk

/// Numbers of values that are summed: none for some of the ranks, and more than are summed at once.
const LENGTHS: [usize; 5] = [0, 1, 3, 1_000, (4 << 20) + 5];

/// All that a rank hears when values of all lengths are told.
fn hear(crew: &mut dyn Crew) -> Vec<u8> {
    let mut heard = Vec::new();
    for length in LENGTHS {
        let mut bytes = if crew.rank() == 0 { vec![length as u8; length] } else { vec![1; 5] };
        crew.broadcast(&mut bytes).expect("all are there");
        heard.push(bytes);
        let own: Vec<u8> = (0..length).map(|place| (place * (crew.rank() + 3)) as u8).collect();
        let mut all = vec![0; length * crew.ranks()];
        crew.gather(&own, &mut all).expect("all are there");
        heard.push(all);
        // Of magnitudes whose sums are rounded in another way in another order.
        let value = |place: usize| ((place * 11 + crew.rank() * 37) as f32).sin() * 10f32.powi(place as i32 % 5);
        let mut values: Vec<f32> = (0..length).map(value).collect();
        crew.sum(&mut values).expect("all are there");
        heard.push(values.iter().flat_map(|value| value.to_le_bytes()).collect());
    }
    heard.concat()
}

/// A rank that writes down what it hears.
fn talk(folder: &Path) -> ExitCode {
    let mut crew = Mpi::join();
    let heard = hear(&mut crew);
    let (local, of) = crew.local();
    assert_eq!((local, of), (crew.rank(), crew.ranks()), "all ranks are on this machine");
    fs::write(folder.join(crew.rank().to_string()), heard).expect("a folder");
    crew.leave();
    ExitCode::SUCCESS
}

fn what_ranks_hear_is_what_threads_hear() {
    for ranks in [1, 2, 3, 4] {
        let folder = tempfile::tempdir().expect("a folder");
        succeed(mpirun(ranks, helper(), &["talk", folder.path().to_str().expect("a path")]));
        let threads: Vec<_> = crew(ranks).into_iter().map(|mut own| thread::spawn(move || hear(&mut own))).collect();
        for (rank, right) in threads.into_iter().enumerate() {
            let heard = fs::read(folder.path().join(rank.to_string())).expect("what a rank heard");
            assert!(heard == right.join().expect("no rank panics"), "rank {rank} of {ranks} heard something else");
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------- fall

/// A rank that goes on for ever, if it is not the one that falls.
fn fall(how: &str) -> ExitCode {
    let mut crew = Mpi::join();
    outcome::be_rank(crew.rank());
    for turn in 0.. {
        if turn == 3 && crew.rank() == 1 {
            match how {
                "panic" => panic!("the floor is wet"),
                "panic of a thread" => drop(thread::spawn(|| panic!("the floor is wet")).join()),
                _ => {
                    let error = Error::Device { adapter: "a card".to_owned(), reason: "it is lost".to_owned() };
                    return outcome::Failure::from(error).tell();
                }
            }
        }
        crew.sum(&mut [1.0; 1000]).expect("MPI has no errors to answer");
    }
    unreachable!("it goes on for ever")
}

fn a_rank_that_fails_ends_the_others() {
    for (how, code, words) in [
        ("panic", 101, "the floor is wet"),
        ("panic of a thread", 101, "the floor is wet"),
        ("error", 2, "error: rank 1: a card: it is lost"),
    ] {
        let output = end(start(mpirun(3, helper(), &["fall", how])), SOON);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{how}: {said}");
        assert!(said.contains(words) && said.contains("rank 1"), "{how}: {said}");
    }
}

// --------------------------------------------------------------------------------------------------------------- train

/// A training of the small set in the folder `data` in two or more shares, words apart.
const TRAINING: &str = "train --crew mpi --adapter cpu --data data --batch 4x8 --save-every 5";

/// The program with the words of a line and others, on so many ranks that work in a folder.
fn train(ranks: usize, folder: &Path, line: &str, others: &[&str]) -> Command {
    let arguments: Vec<&str> = line.split(' ').chain(others.iter().copied()).collect();
    let mut command = mpirun(ranks, env!("CARGO_BIN_EXE_siamese"), &arguments);
    command.current_dir(folder);
    command
}

fn checkpoint(folder: &Path, run: &str) -> Vec<u8> {
    fs::read(folder.join(run).join("checkpoint.safetensors")).expect("a checkpoint")
}

fn whoever_takes_the_shares_trains_the_same() {
    let (folder, ..) = place();
    let run = |ranks: usize| {
        let name = format!("run{ranks}");
        let others =
            ["--shares", "4", "--steps", "4", "--spec", "conv4 bn relu drop0.25 pool dense8 l2", "--out", &name];
        let output = succeed(train(ranks, folder.path(), TRAINING, &others));
        let said = text(&output.stderr);
        assert_eq!(said.matches("network ").count(), 1, "rank 0 alone speaks: {said}");
        checkpoint(folder.path(), &name)
    };
    let one = run(1);
    assert!(one == run(2), "two ranks train something else than one");
    assert!(one == run(4), "four ranks train something else than one");
}

fn a_rank_that_is_killed_ends_the_others() {
    let (folder, ..) = place();
    let recipe = ["--shares", "2", "--steps", "300", "--spec", "conv4 relu pool dense8 l2", "--out"];
    let others = |run| [&recipe[..], &[run]].concat();
    succeed(train(1, folder.path(), TRAINING, &others("whole")));
    for rank in [0, 1] {
        let name = ["first", "second"][rank];
        let job = start(train(2, folder.path(), TRAINING, &others(name)));
        while !folder.path().join(name).join("checkpoint.safetensors").exists() {
            thread::sleep(Duration::from_millis(5));
        }
        let process = process_of(rank, folder.path()).to_string();
        assert!(Command::new("kill").args(["-9", &process]).status().expect("kill").success());
        let output = end(job, SOON);
        let said = text(&output.stderr);
        // Open MPI names the rank, MPICH its process.
        let names = said.contains(&format!("rank {rank}")) || said.contains(&process);
        assert!(!output.status.success() && names, "{}: {said}", output.status);
        // One rank goes on where two were.
        let line = "train --crew mpi --adapter cpu --resume --save-every 5 --out";
        succeed(train(1, folder.path(), line, &[name]));
        assert!(checkpoint(folder.path(), name) == checkpoint(folder.path(), "whole"), "rank {rank} killed");
    }
}

/// The process of a rank that works in a folder.
fn process_of(rank: usize, folder: &Path) -> u32 {
    let known = [format!("OMPI_COMM_WORLD_RANK={rank}"), format!("PMI_RANK={rank}")];
    let is_it = |process: &PathBuf| {
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        let own = environment.split(|byte| *byte == 0).any(|entry| known.iter().any(|known| entry == known.as_bytes()));
        own && fs::read_link(process.join("cwd")).is_ok_and(|place| place == folder.canonicalize().expect("a folder"))
    };
    let processes = fs::read_dir("/proc").expect("processes").filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let name = processes.into_iter().find(is_it).expect("the rank is there");
    name.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok()).expect("a process")
}

fn a_rank_of_another_training_is_refused() {
    let (folder, ..) = place();
    for (run, (other, words)) in ["a", "b", "c"].into_iter().zip([
        (["--seed", "2"], "rank 1: it has other settings than rank 0"),
        (["--learning-rate", "0.5"], "rank 1: it has other settings than rank 0"),
        (["--data", "nowhere"], "error: rank 1: "),
    ]) {
        let spec = ["--steps", "2", "--spec", "dense8 l2", "--out", run, "--seed", "1"];
        let mut own: Vec<&str> = TRAINING.split(' ').chain(spec).collect();
        match own.iter().position(|word| *word == other[0]) {
            Some(place) => own[place + 1] = other[1],
            None => own.extend(other),
        }
        let mut command = train(1, folder.path(), TRAINING, &spec);
        command.args([":", "-n", "1", env!("CARGO_BIN_EXE_siamese")]).args(own);
        let output = end(start(command), SOON);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{other:?}: {said}");
        assert!(said.contains(words), "{other:?}: {said}");
    }
}
