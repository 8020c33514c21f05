//! The paths a file names, such as `crate::limits::BODY_BYTES_MAX`, with the braces of `use` opened.
//!
//! Shared by the rules about imports and about forbidden calls. It knows nothing of what a path resolves to.

use super::lexed::{Located, Token};

/// One path as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathUse {
    pub(crate) line: usize,
    /// `*` for a glob; a closing `self` in braces is left out.
    pub(crate) segments: Vec<String>,
    /// The modules written inside the file that hold the path, outermost first.
    pub(crate) inside: Vec<String>,
    /// What a `use` makes of it: the name it is known under from here on.
    pub(crate) imported_as: Option<String>,
}

/// All paths of a file, single names included.
pub(crate) fn paths(tokens: &[Located]) -> Vec<PathUse> {
    let mut reader = Reader {
        tokens,
        found: Vec::new(),
        modules: Vec::new(),
        depth: 0,
    };
    let mut index = 0;
    while index < tokens.len() {
        index = reader.step(index);
    }
    reader.found
}

struct Reader<'a> {
    tokens: &'a [Located],
    found: Vec<PathUse>,
    /// The open `mod name {` around us with the depth inside each.
    modules: Vec<(String, usize)>,
    depth: usize,
}

impl Reader<'_> {
    fn token(&self, index: usize) -> Option<&Token> {
        self.tokens.get(index).map(|located| &located.token)
    }

    fn name(&self, index: usize) -> Option<&str> {
        self.token(index).and_then(Token::ident)
    }

    /// Reads what begins at `index` and returns where the next begins.
    fn step(&mut self, index: usize) -> usize {
        match self.token(index) {
            Some(Token::Open('{')) => self.depth += 1,
            Some(Token::Close('}')) => {
                if self
                    .modules
                    .last()
                    .is_some_and(|(_, depth)| *depth == self.depth)
                {
                    self.modules.pop();
                }
                self.depth = self.depth.saturating_sub(1);
            }
            Some(Token::Ident(word)) if word == "use" => return self.use_tree(index + 1, &[]),
            Some(Token::Ident(word))
                if word == "mod" && self.token(index + 2) == Some(&Token::Open('{')) =>
            {
                if let Some(name) = self.name(index + 1) {
                    let module = (name.to_owned(), self.depth + 1);
                    self.modules.push(module);
                }
                return index + 2;
            }
            Some(Token::Ident(_)) if !self.is_member(index) => return self.expression_path(index),
            _ => {}
        }
        index + 1
    }

    /// Whether the name follows a dot, as a method or field does; the end of a range follows two.
    fn is_member(&self, index: usize) -> bool {
        let is_dot =
            |back: usize| index >= back && self.token(index - back) == Some(&Token::Punct('.'));
        is_dot(1) && !is_dot(2)
    }

    fn expression_path(&mut self, first: usize) -> usize {
        let mut segments = Vec::new();
        let mut index = first;
        while let Some(name) = self.name(index) {
            segments.push(name.to_owned());
            index += 1;
            if self.token(index) != Some(&Token::PathSeparator) {
                break;
            }
            index += 1;
        }
        self.push(first, segments, None);
        index.max(first + 1)
    }

    /// Reads one branch of a `use`, opening braces, and returns the index behind it.
    fn use_tree(&mut self, first: usize, prefix: &[String]) -> usize {
        let mut segments = prefix.to_vec();
        let mut index = first;
        loop {
            match self.token(index) {
                Some(Token::PathSeparator) => index += 1,
                Some(Token::Ident(name)) => {
                    segments.push(name.clone());
                    index += 1;
                    if self.token(index) != Some(&Token::PathSeparator) {
                        return self.use_leaf(index, segments);
                    }
                }
                Some(Token::Open('{')) => {
                    index += 1;
                    while self
                        .token(index)
                        .is_some_and(|token| *token != Token::Close('}'))
                    {
                        index = self.use_tree(index, &segments);
                        if self.token(index) == Some(&Token::Punct(',')) {
                            index += 1;
                        }
                    }
                    return index + 1;
                }
                Some(Token::Punct('*')) => {
                    segments.push("*".to_owned());
                    self.push(index, segments, None);
                    return index + 1;
                }
                _ => return index + 1,
            }
        }
    }

    fn use_leaf(&mut self, mut index: usize, mut segments: Vec<String>) -> usize {
        if segments.len() > 1 && segments.last().is_some_and(|name| name == "self") {
            segments.pop();
        }
        let mut known_as = segments.last().cloned();
        let place = index - 1;
        if self.name(index) == Some("as") {
            known_as = self.name(index + 1).map(str::to_owned);
            index += 2;
        }
        self.push(place, segments, known_as);
        index
    }

    fn push(&mut self, index: usize, segments: Vec<String>, imported_as: Option<String>) {
        let line = self.tokens[index].line;
        let inside = self.modules.iter().map(|(name, _)| name.clone()).collect();
        self.found.push(PathUse {
            line,
            segments,
            inside,
            imported_as,
        });
    }
}
