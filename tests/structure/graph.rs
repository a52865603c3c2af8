//! Which modules of a crate use which, and the circles among them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proc_macro2::TokenStream;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Item, ItemMod, ItemUse, UseTree};

use super::source::Source;

/// How many imports a name may pass through. Only imports that lead back to themselves pass through
/// more.
const DEPTH: usize = 16;

/// The file and the line of a use, and the path that is written there.
type Use = (String, usize, String);

/// The modules of a crate, and what each uses of another.
///
/// A module is a file here; modules written inside it belong to it. A use is a path in the code: in
/// a `use`, a type, an expression, what is given to a macro, or an attribute (`serialize_with =
/// "crate::text::instant"`). It leads to the module that defines the item, through all re-exports
/// on its way. Importing a module is no use yet, naming something in it is. A module and its own
/// descendants may use each other. Calls of methods are not seen.
#[derive(Default)]
pub struct Graph {
    modules: BTreeSet<String>,
    /// From the user to the used.
    edges: BTreeMap<(String, String), BTreeSet<Use>>,
}

impl Graph {
    /// Reads a crate.
    pub fn new(sources: &[Source]) -> Self {
        let scopes = Scopes::read(sources);
        let mut graph = Self::default();
        graph
            .modules
            .extend(sources.iter().map(|source| source.module.clone()));

        for (at, scope) in scopes.0.iter().enumerate() {
            for (path, line) in &scope.uses {
                let target = match path.split_last() {
                    Some((last, inside)) if last == "*" => scopes.resolve(at, inside, true, DEPTH),
                    _ => scopes
                        .resolve(at, path, false, DEPTH)
                        .filter(|found| !found.is_module),
                };
                if let Some(target) = target {
                    let (from, to) = (&sources[scope.file], &sources[scopes.0[target.scope].file]);
                    graph.add(
                        &from.module,
                        &to.module,
                        [(from.path.clone(), *line, path.join("::"))],
                    );
                }
            }
        }
        graph
    }

    /// The same with the modules that the root declares alone, each as one with all that is in it.
    #[must_use]
    pub fn top_level(&self) -> Self {
        let top = |module: &String| module.split("::").next().unwrap_or_default().to_owned();
        let mut graph = Self {
            modules: self.modules.iter().map(top).collect(),
            ..Self::default()
        };
        for ((from, to), uses) in &self.edges {
            graph.add(&top(from), &top(to), uses.iter().cloned());
        }
        graph
    }

    fn add(&mut self, from: &str, to: &str, uses: impl IntoIterator<Item = Use>) {
        if !is_within(from, to) && !is_within(to, from) {
            self.edges
                .entry((from.to_owned(), to.to_owned()))
                .or_default()
                .extend(uses);
        }
    }

    /// Circles, short ones first: each edge that lies on a circle is in one of them. Each begins
    /// and ends with the same module.
    pub fn circles(&self) -> Vec<Vec<String>> {
        let (mut circles, mut covered) = (Vec::new(), BTreeSet::new());
        for (from, to) in self.edges.keys() {
            let back = if covered.contains(&(from, to)) { None } else { self.shortest(to, from) };
            if let Some(mut circle) = back {
                circle.insert(0, from);
                covered.extend(circle.windows(2).map(|edge| (edge[0], edge[1])));
                circles.push(circle.into_iter().cloned().collect());
            }
        }

        circles.sort_by_key(Vec::len);
        circles
    }

    /// How many modules are on a circle, and how many there are; the root is none of them.
    pub fn on_circles(&self) -> (usize, usize) {
        let on_circle: BTreeSet<_> = self.circles().into_iter().flatten().collect();
        (on_circle.len(), self.modules.iter().filter(|module| !module.is_empty()).count())
    }

    fn shortest<'a>(&'a self, from: &'a String, to: &'a String) -> Option<Vec<&'a String>> {
        let (mut ways, mut seen) = (VecDeque::from([vec![from]]), BTreeSet::new());
        while let Some(way) = ways.pop_front() {
            let last = way[way.len() - 1];
            if last == to {
                return Some(way);
            }
            for (_, next) in self.edges.keys().filter(|(user, _)| user == last) {
                if seen.insert(next) {
                    ways.push_back([way.as_slice(), &[next]].concat());
                }
            }
        }
        None
    }

    /// A circle as a path, and below it up to `count` uses for each of its edges.
    pub fn describe(&self, circle: &[String], count: usize) -> String {
        let mut lines = vec![circle.join(" -> ")];
        for edge in circle.windows(2) {
            lines.push(format!("  {} -> {}", edge[0], edge[1]));
            let uses = self.edges[&(edge[0].clone(), edge[1].clone())].iter().take(count);
            lines.extend(uses.map(|(file, line, path)| format!("    {file}:{line}  {path}")));
        }
        lines.join("\n")
    }
}

/// Whether a module is another one, or inside of it.
fn is_within(module: &str, other: &str) -> bool {
    other.is_empty()
        || module
            .strip_prefix(other)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Where a path leads: to a module, or to something that the module defines.
#[derive(Clone, Copy)]
struct Found {
    scope: usize,
    is_module: bool,
}

/// What the names in one module mean, and the paths written in it. Ends of paths that are `*` stand
/// for all names.
#[derive(Default)]
struct Scope {
    file: usize,
    parent: usize,
    children: BTreeMap<String, usize>,
    items: BTreeSet<String>,
    imports: Vec<(String, Vec<String>)>,
    uses: Vec<(Vec<String>, usize)>,
}

/// The scopes of a crate: of its files in their order, then of the modules inside them.
struct Scopes(Vec<Scope>);

impl Scopes {
    fn read(sources: &[Source]) -> Self {
        let mut scopes: Vec<_> = (0..sources.len())
            .map(|file| Scope { file, ..Scope::default() })
            .collect();
        for (child, source) in sources.iter().enumerate().skip(1) {
            let (parent, name) = source.module.rsplit_once("::").unwrap_or(("", &source.module));
            let parent = sources.iter().position(|source| source.module == parent).unwrap();
            scopes[parent].children.insert(name.to_owned(), child);
            scopes[child].parent = parent;
        }

        let mut reader = Reader { scopes, at: 0 };
        for (at, source) in sources.iter().enumerate() {
            reader.at = at;
            reader.visit_file(&source.syntax);
        }
        Self(reader.scopes)
    }

    /// Follows a path as it is written in a scope. Where its last name stands for a module and for
    /// something else at once, `module` says which is meant.
    fn resolve(&self, at: usize, path: &[String], module: bool, depth: usize) -> Option<Found> {
        let mut found = Found { scope: at, is_module: true };
        for (index, name) in path.iter().enumerate() {
            let module = module || index + 1 < path.len();
            match name.as_str() {
                _ if !found.is_module => {}
                "self" => {}
                "crate" => found.scope = 0,
                "super" => found.scope = self.0[found.scope].parent,
                name => match self.named(found.scope, name, module, depth) {
                    Some(next) => found = next,
                    // Of another crate, or of the language.
                    None if index == 0 => return None,
                    // A macro defines it.
                    None => found.is_module = false,
                },
            }
        }
        Some(found)
    }

    fn named(&self, at: usize, name: &str, module: bool, depth: usize) -> Option<Found> {
        let (scope, depth) = (&self.0[at], depth.checked_sub(1)?);
        let child = scope
            .children
            .get(name)
            .map(|child| Found { scope: *child, is_module: true });
        let item = scope
            .items
            .contains(name)
            .then_some(Found { scope: at, is_module: false });
        let imports = scope
            .imports
            .iter()
            .filter_map(|(import, path)| match import.as_str() {
                "*" => {
                    let inside = self
                        .resolve(at, path, true, depth)
                        .filter(|found| found.is_module && found.scope != at)?;
                    self.named(inside.scope, name, module, depth)
                }
                import => (import == name).then(|| self.resolve(at, path, module, depth))?,
            });

        let found: Vec<_> = child.into_iter().chain(item).chain(imports).collect();
        found
            .iter()
            .find(|found| found.is_module == module)
            .or(found.first())
            .copied()
    }
}

/// Fills the scope of a file, and of the modules inside it.
struct Reader {
    scopes: Vec<Scope>,
    at: usize,
}

impl Reader {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scopes[self.at]
    }

    fn import(&mut self, tree: &UseTree, mut path: Vec<String>) {
        let (ident, rename) = match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                return self.import(&tree.tree, path);
            }
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.import(tree, path.clone()));
            }
            UseTree::Glob(_) => ("*".to_owned(), None),
            UseTree::Name(tree) => (tree.ident.to_string(), None),
            UseTree::Rename(tree) => (tree.ident.to_string(), Some(tree.rename.to_string())),
        };

        let line = tree.span().start().line;
        let mut used = path.clone();
        if ident == "self" {
            self.scope()
                .imports
                .push((rename.or(path.last().cloned()).unwrap_or_default(), path));
        } else {
            used.push(ident.clone());
            let target = if ident == "*" { path } else { used.clone() };
            self.scope().imports.push((rename.unwrap_or(ident), target));
        }
        self.scope().uses.push((used, line));
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let name = match item {
            Item::Const(item) => Some(&item.ident),
            Item::Enum(item) => Some(&item.ident),
            Item::Fn(item) => Some(&item.sig.ident),
            Item::Macro(item) => item.ident.as_ref(),
            Item::Static(item) => Some(&item.ident),
            Item::Struct(item) => Some(&item.ident),
            Item::Trait(item) => Some(&item.ident),
            Item::Type(item) => Some(&item.ident),
            _ => None,
        };
        self.scope().items.extend(name.map(ToString::to_string));
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if item.content.is_some() {
            let (parent, child) = (self.at, self.scopes.len());
            self.scopes
                .push(Scope { file: self.scopes[parent].file, parent, ..Scope::default() });
            self.scope().children.insert(item.ident.to_string(), child);
            self.at = child;
            visit::visit_item_mod(self, item);
            self.at = parent;
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            self.import(&item.tree, Vec::new());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let names = path
                .segments
                .iter()
                .map(|segment| segment.ident.to_string())
                .collect();
            self.scope().uses.push((names, path.span().start().line));
        }
        visit::visit_path(self, path);
    }

    /// What only a macro can parse: all names in it that are joined by `::`, also those in strings.
    fn visit_token_stream(&mut self, tokens: &'ast TokenStream) {
        let line = tokens.span().start().line;
        let text = tokens.to_string().replace(" :: ", "::");
        for path in
            text.split(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != ':')
        {
            let names = path.trim_end_matches(':').split("::").map(str::to_owned).collect();
            self.scope().uses.push((names, line));
        }
    }
}
