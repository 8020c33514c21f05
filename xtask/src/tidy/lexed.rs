//! A Rust file as the rules read it: its tokens with their lines, its functions, and which lines are test code.
//!
//! The lexer is the compiler's own (`proc_macro2`), so text in comments and documentation never counts as code. There is
//! no parser above it: rules that look for names must see inside macro calls, where a parser sees nothing.

use proc_macro2::{Delimiter, LexError, Spacing, TokenStream, TokenTree};
use std::ops::RangeInclusive;

/// What the rules tell apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Ident(String),
    /// A literal as written, with quotes and prefixes.
    Literal(String),
    /// `::`.
    PathSeparator,
    Punct(char),
    /// `(`, `[` or `{`.
    Open(char),
    /// `)`, `]` or `}`.
    Close(char),
}

impl Token {
    pub(crate) fn ident(&self) -> Option<&str> {
        if let Self::Ident(name) = self {
            Some(name)
        } else {
            None
        }
    }
}

/// A token and the line it begins on, from 1.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    pub(crate) token: Token,
    pub(crate) line: usize,
}

/// A function with a body, from the line of `fn` to the closing brace; attributes and documentation do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) lines: RangeInclusive<usize>,
}

/// See the top of this file.
#[derive(Debug, Default)]
pub(crate) struct Lexed {
    /// Documentation is left out, other attributes are there.
    pub(crate) tokens: Vec<Located>,
    pub(crate) functions: Vec<Function>,
    /// Modules declared in another file for tests only: `#[cfg(test)] mod name;`.
    pub(crate) test_modules: Vec<String>,
    test_lines: Vec<RangeInclusive<usize>>,
}

impl Lexed {
    pub(crate) fn read(text: &str) -> Result<Self, LexError> {
        let stream: TokenStream = text.parse()?;
        let mut lexed = Self::default();
        lexed.level(stream);
        // `proc_macro2` keeps the text of everything it lexed, for the lines; a file is lexed once, then let go.
        proc_macro2::extra::invalidate_current_thread_spans();
        Ok(lexed)
    }

    /// Whether this line belongs to an item marked `#[test]`, `#[cfg(test)]` or the like.
    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.test_lines.iter().any(|lines| lines.contains(&line))
    }

    /// Reads one level of brackets, and the levels inside it.
    fn level(&mut self, stream: TokenStream) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        let mut test_since = None;
        let mut function: Option<(String, usize)> = None;
        let mut index = 0;
        while let Some(tree) = trees.get(index) {
            let line = tree.span().start().line;
            let last = tree.span().end().line;
            if let Some((attribute, length)) = attribute(&trees, index) {
                if is_documentation(&attribute) {
                    index += length;
                    continue;
                }
                if is_for_tests(&attribute) && length == OUTER_ATTRIBUTE {
                    test_since = test_since.or(Some(line));
                } else if is_for_tests(&attribute) {
                    self.test_lines.push(1..=usize::MAX);
                }
            }
            if let Some(name) = declared_after("fn", &trees, index) {
                function = Some((name, line));
            }
            if test_since.is_some()
                && let Some(name) = declared_after("mod", &trees, index)
                && is_punct(trees.get(index + 2), ';')
            {
                self.test_modules.push(name);
            }
            let braces =
                matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
            if braces || is_punct(Some(tree), ';') {
                if let Some(first) = test_since.take() {
                    self.test_lines.push(first..=last);
                }
                if let Some((name, first)) = function.take()
                    && braces
                {
                    self.functions.push(Function {
                        name,
                        lines: first..=last,
                    });
                }
            }
            index += self.token(&trees, index, line, last);
        }
    }

    /// Takes in the token at `index` and returns how many trees it covers.
    fn token(&mut self, trees: &[TokenTree], index: usize, line: usize, last: usize) -> usize {
        match &trees[index] {
            TokenTree::Ident(ident) => self.push(Token::Ident(ident.to_string()), line),
            TokenTree::Literal(literal) => self.push(Token::Literal(literal.to_string()), line),
            TokenTree::Punct(punct) => {
                if punct.as_char() == ':'
                    && punct.spacing() == Spacing::Joint
                    && is_punct(trees.get(index + 1), ':')
                {
                    self.push(Token::PathSeparator, line);
                    return 2;
                }
                self.push(Token::Punct(punct.as_char()), line);
            }
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ('(', ')'),
                    Delimiter::Brace => ('{', '}'),
                    Delimiter::Bracket => ('[', ']'),
                    Delimiter::None => {
                        self.level(group.stream());
                        return 1;
                    }
                };
                self.push(Token::Open(open), line);
                self.level(group.stream());
                self.push(Token::Close(close), last);
            }
        }
        1
    }

    fn push(&mut self, token: Token, line: usize) {
        self.tokens.push(Located { token, line });
    }
}

/// Trees that `#[…]` covers; `#![…]` covers one more.
const OUTER_ATTRIBUTE: usize = 2;

/// The inside of the attribute that begins at `index`, and the trees it covers.
fn attribute(trees: &[TokenTree], index: usize) -> Option<(Vec<TokenTree>, usize)> {
    if !is_punct(trees.get(index), '#') {
        return None;
    }
    let length = if is_punct(trees.get(index + 1), '!') {
        OUTER_ATTRIBUTE + 1
    } else {
        OUTER_ATTRIBUTE
    };
    match trees.get(index + length - 1) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Bracket => {
            Some((group.stream().into_iter().collect(), length))
        }
        _ => None,
    }
}

fn is_documentation(attribute: &[TokenTree]) -> bool {
    matches!(attribute.first(), Some(TokenTree::Ident(name)) if name == "doc")
}

/// `#[test]`, `#[tokio::test(…)]`, `#[cfg(test)]`, `#[cfg(all(test, …))]`, but not `#[cfg(not(test))]`.
fn is_for_tests(attribute: &[TokenTree]) -> bool {
    let Some(TokenTree::Ident(first)) = attribute.first() else {
        return false;
    };
    if first == "cfg" {
        let text: String = attribute.iter().map(ToString::to_string).collect();
        let word = |wanted: &str| {
            text.split(|c: char| !c.is_alphanumeric())
                .any(|word| word == wanted)
        };
        return word("test") && !word("not");
    }
    let mut path = attribute
        .iter()
        .take_while(|tree| !matches!(tree, TokenTree::Group(_)));
    path.any(|tree| matches!(tree, TokenTree::Ident(name) if name == "test"))
}

/// The name in `fn name` or `mod name` at `index`; a function pointer type `fn(…)` has none.
fn declared_after(keyword: &str, trees: &[TokenTree], index: usize) -> Option<String> {
    match (trees.get(index), trees.get(index + 1)) {
        (Some(TokenTree::Ident(word)), Some(TokenTree::Ident(name))) if word == keyword => {
            Some(name.to_string())
        }
        _ => None,
    }
}

fn is_punct(tree: Option<&TokenTree>, wanted: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}
