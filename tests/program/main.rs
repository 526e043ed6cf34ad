//! The program as a user runs it.

#[path = "../common/browser.rs"]
mod browser;
mod bulk;
mod cli;
mod compatible;
mod folders;
mod import;
#[path = "../common/program.rs"]
mod program;
mod report;
mod run;
mod tools;
