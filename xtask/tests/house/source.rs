//! One source file: its modules, and the paths that it names.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, Expr, ExprLit, File, Item, ItemMod, ItemUse, Lit, Macro, Meta, MetaNameValue,
    UseTree, Visibility,
    ext::IdentExt as _,
    visit::{self, Visit},
};

/// A path as it is written, such as `super::wire::Reason`.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) line: usize,
    pub(crate) path: Vec<String>,
    /// The modules within the file that it stands in.
    pub(crate) within: Vec<String>,
}

/// What a `use` brings into a module.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    pub(crate) named: Named,
    /// `pub use` and `pub(crate) use`: a name for others.
    pub(crate) is_reexport: bool,
}

/// A module in a file of its own.
#[derive(Debug)]
pub(crate) struct Child {
    /// The modules within the file that it stands in.
    pub(crate) within: Vec<String>,
    pub(crate) name: String,
    /// `#[path = ".."]`
    pub(crate) path: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Paths outside of `use` that have more than one name.
    pub(crate) paths: Vec<Named>,
    /// The first names of all paths outside of `use`.
    pub(crate) used: BTreeSet<String>,
    /// By the modules within the file and the name.
    pub(crate) bindings: BTreeMap<(Vec<String>, String), Binding>,
    /// `use x::*`.
    pub(crate) globs: Vec<Named>,
    /// `mod x;`
    pub(crate) children: Vec<Child>,
    /// `mod x { .. }`.
    pub(crate) inline: Vec<Vec<String>>,
}

/// Reads `file`, without what is compiled for tests only if `tests` is false.
pub(crate) fn read(file: &Path, tests: bool) -> Source {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let parsed: File =
        syn::parse_file(&text).unwrap_or_else(|error| panic!("{file:?} does not parse: {error}"));
    let mut reader = Reader {
        tests,
        within: Vec::new(),
        source: Source::default(),
    };
    reader.visit_file(&parsed);
    reader.source
}

struct Reader {
    tests: bool,
    within: Vec<String>,
    source: Source,
}

impl Reader {
    fn named(&self, line: usize, path: Vec<String>) -> Named {
        let within = self.within.clone();
        Named { line, path, within }
    }

    fn bind(&mut self, tree: &UseTree, prefix: &[String], is_reexport: bool) {
        let mut path = prefix.to_vec();
        let (last, alias) = match tree {
            UseTree::Path(inner) => {
                path.push(inner.ident.unraw().to_string());
                return self.bind(&inner.tree, &path, is_reexport);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.bind(tree, &path, is_reexport);
                }
                return;
            }
            UseTree::Glob(glob) => {
                let line = glob.star_token.spans[0].start().line;
                let named = self.named(line, path);
                self.source.globs.push(named);
                return;
            }
            UseTree::Name(name) => (&name.ident, None),
            UseTree::Rename(rename) => (&rename.ident, Some(rename.rename.unraw().to_string())),
        };
        let line = last.span().start().line;
        if last != "self" {
            path.push(last.unraw().to_string());
        }
        let name = match alias {
            // Names nothing, and still needs it.
            Some(alias) if alias == "_" => format!("_ of line {line}, {path:?}"),
            Some(alias) => alias,
            None => path.last().cloned().unwrap_or_default(),
        };
        let named = self.named(line, path);
        let binding = Binding { named, is_reexport };
        let key = (self.within.clone(), name);
        self.source.bindings.insert(key, binding);
    }

    /// The paths among the tokens of a macro's call, which no parser knows.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut line = 0;
        let mut colons = 0;
        for tree in tokens {
            match &tree {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.path(line, &mut path);
                        line = ident.span().start().line;
                    }
                    path.push(ident.unraw().to_string());
                    colons = 0;
                    continue;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => self.tokens(group.stream()),
                _ => {}
            }
            self.path(line, &mut path);
            colons = 0;
        }
        self.path(line, &mut path);
    }

    fn path(&mut self, line: usize, path: &mut Vec<String>) {
        let path = std::mem::take(path);
        self.source.used.extend(path.first().cloned());
        if path.len() > 1 {
            let named = self.named(line, path);
            self.source.paths.push(named);
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if self.tests || !attributes(item).iter().any(is_test) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let name = item.ident.unraw().to_string();
        if item.content.is_none() {
            let within = self.within.clone();
            let path = item.attrs.iter().find_map(path);
            self.source.children.push(Child { within, name, path });
            return;
        }
        self.within.push(name);
        self.source.inline.push(self.within.clone());
        visit::visit_item_mod(self, item);
        self.within.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_reexport = !matches!(item.vis, Visibility::Inherited);
        self.bind(&item.tree, &[], is_reexport);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let line = path.segments[0].ident.span().start().line;
        let mut names = path
            .segments
            .iter()
            .map(|segment| segment.ident.unraw().to_string())
            .collect();
        self.path(line, &mut names);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }

    // `pub(crate)` and `pub(super)` need nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

/// `#[cfg(test)]`
fn is_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<syn::Path>()
            .is_ok_and(|path| path.is_ident("test"))
}

/// `#[path = ".."]`
fn path(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(MetaNameValue {
            path,
            value:
                Expr::Lit(ExprLit {
                    lit: Lit::Str(text),
                    ..
                }),
            ..
        }) if path.is_ident("path") => Some(text.value()),
        _ => None,
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
