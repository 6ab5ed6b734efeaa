//! The files of the workspace, and which of them needs which.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::source::{self, Child, Named, Source};

/// How often a name may be passed on by `pub use`.
const REEXPORTS: usize = 16;

/// A file that names another one, or something of another crate.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    /// Relative to the workspace's root.
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
    /// As it is written.
    pub(crate) path: String,
    pub(crate) target: Target,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Another file of the same target.
    File(PathBuf),
    /// A crate of the workspace, by its folder.
    Ours(String),
    /// Anything else: `std::fs::read`.
    Foreign,
}

/// All imports of the workspace at `root`: those of each library, program, test and build script.
pub(crate) fn imports(root: &Path) -> Vec<Import> {
    let manifest = manifest(&root.join("Cargo.toml"));
    let members = manifest["workspace"]["members"].as_array().unwrap();
    let folders: Vec<&str> = members.iter().filter_map(toml::Value::as_str).collect();
    let crates: BTreeMap<String, String> = folders
        .iter()
        .map(|folder| {
            let package = self::manifest(&root.join(folder).join("Cargo.toml"));
            let name = package["package"]["name"].as_str().unwrap().to_owned();
            (name.replace('-', "_"), (*folder).to_owned())
        })
        .collect();
    let mut found = Vec::new();
    for folder in folders {
        for file in roots(&root.join(folder)) {
            let tests = file.strip_prefix(root.join(folder)).unwrap();
            let tests = tests.starts_with("tests");
            let mut target = Files::default();
            target.read(&file, &mut Vec::new(), tests);
            found.extend(target.imports(root, folder, &crates));
        }
    }
    found
}

fn manifest(file: &Path) -> toml::Table {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    text.parse().unwrap()
}

/// Where the targets of a crate begin, as cargo finds them.
fn roots(folder: &Path) -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = ["src/lib.rs", "src/main.rs", "build.rs"]
        .map(|file| folder.join(file))
        .into();
    let manifest = manifest(&folder.join("Cargo.toml"));
    if let Some(path) = manifest.get("lib").and_then(|lib| lib.get("path")) {
        roots.push(folder.join(path.as_str().unwrap()));
    }
    for kind in ["tests", "benches", "examples", "src/bin"] {
        let Ok(entries) = fs::read_dir(folder.join(kind)) else {
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.extension().is_some_and(|extension| extension == "rs") {
                roots.push(path);
            } else {
                roots.push(path.join("main.rs"));
            }
        }
    }
    roots.retain(|file| file.is_file());
    roots.sort();
    roots
}

/// The modules of one target.
#[derive(Default)]
struct Files {
    files: BTreeMap<PathBuf, (Vec<String>, Source)>,
    /// By its place in the tree, with the modules that are written within a file.
    modules: BTreeMap<Vec<String>, PathBuf>,
}

impl Files {
    fn read(&mut self, file: &Path, module: &mut Vec<String>, tests: bool) {
        let source = source::read(file, tests);
        self.modules.insert(module.clone(), file.to_owned());
        for inner in &source.inline {
            let inner = [module.as_slice(), inner].concat();
            self.modules.insert(inner, file.to_owned());
        }
        let is_root = module.is_empty() || file.file_name().is_some_and(|name| name == "mod.rs");
        let folder = if is_root {
            file.parent().unwrap().to_owned()
        } else {
            file.with_extension("")
        };
        for Child { within, name, path } in &source.children {
            let folder = within
                .iter()
                .fold(folder.clone(), |path, name| path.join(name));
            let flat = folder.join(format!("{name}.rs"));
            let nested = folder.join(name).join("mod.rs");
            let child = match path {
                Some(path) => file.parent().unwrap().join(path),
                None if flat.is_file() => flat,
                None => nested,
            };
            let depth = module.len();
            module.extend(within.iter().chain([name]).cloned());
            self.read(&child, module, tests);
            module.truncate(depth);
        }
        self.files.insert(file.to_owned(), (module.clone(), source));
    }

    fn imports(&self, root: &Path, folder: &str, crates: &BTreeMap<String, String>) -> Vec<Import> {
        let mut found = Vec::new();
        for (file, (module, source)) in &self.files {
            let bound = source.bindings.iter().filter_map(|((_, name), binding)| {
                // To pass a name on is not to need it.
                let is_needed = !binding.is_reexport || source.used.contains(name);
                is_needed.then_some(&binding.named)
            });
            for named in source.paths.iter().chain(&source.globs).chain(bound) {
                let target = match self.find(module, named, 0) {
                    Some(target) if target == *file => continue,
                    Some(target) => Target::File(target.strip_prefix(root).unwrap().to_owned()),
                    None => match crates.get(&named.path[0]) {
                        Some(of) if of == folder => continue,
                        Some(of) => Target::Ours(of.clone()),
                        None => Target::Foreign,
                    },
                };
                found.push(Import {
                    file: file.strip_prefix(root).unwrap().to_owned(),
                    line: named.line,
                    path: named.path.join("::"),
                    target,
                });
            }
        }
        found
    }

    /// The file of this target that has what `named` names in `module`.
    fn find(&self, module: &[String], named: &Named, depth: usize) -> Option<PathBuf> {
        let mut at = [module, &named.within].concat();
        let mut rest = named.path.iter();
        let first = named.path.first()?;
        match first.as_str() {
            "crate" => {
                at.clear();
                rest.next();
            }
            "self" => {
                rest.next();
            }
            "super" => {
                while rest.as_slice().first().is_some_and(|name| name == "super") {
                    at.pop();
                    rest.next();
                }
            }
            // A module below, or a name that was brought in by `use`, which is counted there.
            _ if named.path.len() > 1
                && self
                    .modules
                    .contains_key(&[at.as_slice(), std::slice::from_ref(first)].concat()) => {}
            _ => return None,
        }
        while let Some(name) = rest.next() {
            let below = [at.as_slice(), std::slice::from_ref(name)].concat();
            if self.modules.contains_key(&below) {
                at = below;
                continue;
            }
            if depth < REEXPORTS
                && let Some((found, binding)) = self.bound(&at, name)
            {
                let mut next = binding.clone();
                next.path.extend(rest.cloned());
                return self.find(&found, &next, depth + 1);
            }
            break;
        }
        self.modules.get(&at).cloned()
    }

    /// What `use` made of `name` in the module `at`, and the module of its file.
    fn bound(&self, at: &[String], name: &str) -> Option<(Vec<String>, &Named)> {
        let (module, source) = &self.files[self.modules.get(at)?];
        let within = at[module.len()..].to_vec();
        let binding = source.bindings.get(&(within, name.to_owned()))?;
        Some((module.clone(), &binding.named))
    }
}
