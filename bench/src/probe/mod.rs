//! What the kernel tells about this process and this machine, and what a bare loop finds out.

pub mod cpus;
pub mod hiccups;
pub mod huge_pages;
pub mod memory;
pub mod steal;
pub mod threads;
