//! Modules that import each other are one module in disguise: no loops among the modules of a crate.
//!
//! Compared are siblings, at every level: `crate::a` with `crate::b`, `crate::a::x` with `crate::a::y`. A folder and its
//! own children may know each other, they are one unit. Names are followed through `pub use`. Test code does not count.

use super::finding::Finding;
use super::paths::{PathUse, paths};
use super::tree::{RustFile, Tree};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A module's path below the crate root.
type Module = Vec<String>;
/// Who imports whom among the children of one module, with the place of the first such import.
type Graph = BTreeMap<String, BTreeMap<String, Place>>;

/// `pub use` chains longer than this are a loop of their own.
const REEXPORTS_MAX: usize = 8;

#[derive(Clone)]
struct Place {
    path: String,
    line: usize,
}

/// No import loops among sibling modules.
pub(crate) fn no_loops(tree: &Tree) -> Vec<Finding> {
    let mut by_crate: BTreeMap<&str, Vec<&RustFile>> = BTreeMap::new();
    for file in &tree.rust {
        if let Some(name) = file.crate_name()
            && file.source_path().is_some()
        {
            by_crate.entry(name).or_default().push(file);
        } else if file.path.starts_with("xtask/src/") {
            by_crate.entry("xtask").or_default().push(file);
        }
    }
    let mut findings = Vec::new();
    for files in by_crate.values() {
        for (parent, graph) in graphs(files) {
            for cycle in cycles(&graph) {
                findings.push(describe(&parent, &graph, &cycle));
            }
        }
    }
    findings
}

fn describe(parent: &[String], graph: &Graph, cycle: &[String]) -> Finding {
    let prefix = if parent.is_empty() {
        String::new()
    } else {
        format!("{}::", parent.join("::"))
    };
    let mut steps = String::new();
    let mut first = None;
    for (index, from) in cycle.iter().enumerate() {
        let to = &cycle[(index + 1) % cycle.len()];
        let place = &graph[from][to];
        first.get_or_insert(place);
        steps.push_str(&format!(
            "{prefix}{from} imports {prefix}{to} ({}:{}), ",
            place.path, place.line
        ));
    }
    let place = first.expect("a cycle has a step");
    let remedy =
        format!("{steps}and so on: move what both need into a third module, or make them one");
    Finding::new("module-loop", &place.path, place.line, remedy)
}

/// The sibling graphs of one crate, by parent.
fn graphs(files: &[&RustFile]) -> BTreeMap<Module, Graph> {
    let names = Names::read(files);
    let mut graphs: BTreeMap<Module, Graph> = BTreeMap::new();
    for file in files {
        let home = module_of(file);
        for path in paths(&file.lexed.tokens) {
            if file.is_test(path.line) {
                continue;
            }
            let mut from = home.clone();
            from.extend(path.inside.iter().cloned());
            let Some(to) = names.resolve(&from, &path.segments) else {
                continue;
            };
            let common = from
                .iter()
                .zip(&to)
                .take_while(|(left, right)| left == right)
                .count();
            if common == from.len() || common == to.len() {
                continue;
            }
            let place = Place {
                path: file.path.clone(),
                line: path.line,
            };
            let graph = graphs.entry(from[..common].to_vec()).or_default();
            graph
                .entry(from[common].clone())
                .or_default()
                .entry(to[common].clone())
                .or_insert(place);
        }
    }
    graphs
}

/// `src/a/b.rs` and `src/a/b/mod.rs` are `a::b`; `src/lib.rs` and `src/main.rs` are the root.
fn module_of(file: &RustFile) -> Module {
    let path = file
        .source_path()
        .or_else(|| file.path.strip_prefix("xtask/src/"))
        .unwrap_or(&file.path);
    let mut module: Module = path
        .strip_suffix(".rs")
        .unwrap_or(path)
        .split('/')
        .map(str::to_owned)
        .collect();
    let is_folder = module.last().is_some_and(|name| name == "mod");
    let is_root = module.len() == 1 && (module[0] == "lib" || module[0] == "main");
    if is_folder || is_root {
        module.pop();
    }
    module
}

/// What the names of a crate stand for.
struct Names {
    modules: BTreeSet<Module>,
    /// What a module imports, under the name it gives it: that is how `pub use` is followed.
    imports: BTreeMap<(Module, String), Module>,
}

impl Names {
    fn read(files: &[&RustFile]) -> Self {
        let mut names = Self {
            modules: BTreeSet::new(),
            imports: BTreeMap::new(),
        };
        let mut uses: Vec<(Module, PathUse)> = Vec::new();
        for file in files {
            let home = module_of(file);
            names.modules.insert(home.clone());
            for path in paths(&file.lexed.tokens) {
                let mut module = home.clone();
                module.extend(path.inside.iter().cloned());
                names.modules.insert(module.clone());
                uses.push((module, path));
            }
        }
        for (module, path) in uses {
            if let (Some(name), Some(target)) =
                (&path.imported_as, names.absolute(&module, &path.segments))
            {
                names.imports.insert((module, name.clone()), target);
            }
        }
        names
    }

    /// The path from the crate root, when it leads into this crate.
    fn absolute(&self, from: &[String], segments: &[String]) -> Option<Module> {
        let first = segments.first()?;
        let mut base = from.to_vec();
        let mut rest = segments;
        match first.as_str() {
            "crate" => {
                base.clear();
                rest = &segments[1..];
            }
            "self" => rest = &segments[1..],
            "super" => {
                while rest.first().is_some_and(|name| name == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            name => {
                base.push(name.to_owned());
                if !self.modules.contains(&base) {
                    return None;
                }
                rest = &segments[1..];
            }
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    /// The module that holds what the path names.
    fn resolve(&self, from: &[String], segments: &[String]) -> Option<Module> {
        let mut target = self.absolute(from, segments)?;
        for _ in 0..REEXPORTS_MAX {
            let mut length = target.len();
            while !self.modules.contains(&target[..length]) {
                length = length.checked_sub(1)?;
            }
            let Some(item) = target.get(length) else {
                return Some(target);
            };
            match self.imports.get(&(target[..length].to_vec(), item.clone())) {
                Some(import) if !import.starts_with(&target[..=length]) => {
                    let mut next = import.clone();
                    next.extend(target[length + 1..].iter().cloned());
                    target = next;
                }
                _ => return Some(target[..length].to_vec()),
            }
        }
        None
    }
}

/// The shortest loop through each module that is in one, each loop once.
fn cycles(graph: &Graph) -> Vec<Vec<String>> {
    let mut cycles = Vec::new();
    let mut reported: BTreeSet<String> = BTreeSet::new();
    for start in graph.keys() {
        if reported.contains(start) {
            continue;
        }
        if let Some(cycle) = shortest_loop(graph, start) {
            reported.extend(cycle.iter().cloned());
            cycles.push(cycle);
        }
    }
    cycles
}

fn shortest_loop(graph: &Graph, start: &str) -> Option<Vec<String>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for next in graph.get(node).into_iter().flat_map(BTreeMap::keys) {
            if next == start {
                let mut cycle = vec![node.to_owned()];
                let mut back = node;
                while back != start {
                    back = came_from[back];
                    cycle.push(back.to_owned());
                }
                cycle.reverse();
                return Some(cycle);
            }
            if !came_from.contains_key(next.as_str()) {
                came_from.insert(next, node);
                queue.push_back(next);
            }
        }
    }
    None
}
