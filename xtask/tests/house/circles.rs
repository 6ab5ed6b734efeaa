//! Circles of files: groups in which each needs all others.

use std::path::PathBuf;

use petgraph::{algo::tarjan_scc, graphmap::DiGraphMap};

use crate::house::{Import, Target};

#[derive(Debug)]
pub(crate) struct Circle<'a> {
    /// Sorted.
    pub(crate) files: Vec<&'a PathBuf>,
    /// The imports that close it.
    pub(crate) imports: Vec<&'a Import>,
}

pub(crate) fn circles(imports: &[Import]) -> Vec<Circle<'_>> {
    let mut graph = DiGraphMap::<&PathBuf, ()>::new();
    for import in imports {
        if let Target::File(to) = &import.target {
            graph.add_edge(&import.file, to, ());
        }
    }
    let mut circles: Vec<Circle<'_>> = tarjan_scc(&graph)
        .into_iter()
        .filter(|files| files.len() > 1)
        .map(|mut files| {
            files.sort();
            let imports = imports
                .iter()
                .filter(|import| {
                    let within = |file| files.binary_search(&file).is_ok();
                    within(&import.file) && matches!(&import.target, Target::File(to) if within(to))
                })
                .collect();
            Circle { files, imports }
        })
        .collect();
    circles.sort_by(|a, b| a.files.cmp(&b.files));
    circles
}
