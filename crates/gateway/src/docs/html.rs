/// HTML under construction. Everything but [`Html::raw`] escapes what it is given.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    pub(super) fn into_string(self) -> String {
        self.0
    }

    /// Markup of this crate's own, never a text from the document.
    pub(super) fn raw(&mut self, markup: &str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for char in text.chars() {
            match char {
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '&' => self.0.push_str("&amp;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                char => self.0.push(char),
            }
        }
        self
    }

    /// An element that holds a text.
    pub(super) fn element(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.raw("<").raw(name).raw(">").text(text).raw("</").raw(name).raw(">")
    }

    /// A link to a place on the page.
    pub(super) fn link(&mut self, anchor: &str, content: impl FnOnce(&mut Self)) -> &mut Self {
        self.raw("<a href=\"#").text(anchor).raw("\">");
        content(self);
        self.raw("</a>")
    }

    /// A text in which `…` is code.
    pub(super) fn inline(&mut self, text: &str) -> &mut Self {
        for (index, part) in text.split('`').enumerate() {
            if index % 2 == 0 {
                self.text(part);
            } else {
                self.element("code", part);
            }
        }
        self
    }

    /// Paragraphs, with an empty line between two.
    pub(super) fn prose(&mut self, text: &str) -> &mut Self {
        for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
            self.raw("<p>").inline(paragraph).raw("</p>\n");
        }
        self
    }

    /// Lines as they are.
    pub(super) fn code(&mut self, text: &str) -> &mut Self {
        self.raw("<pre><code>").text(text).raw("</code></pre>\n")
    }
}

/// The name of a place: lower case, with one hyphen for whatever is no letter or digit.
pub(super) fn anchor(text: &str) -> String {
    let words = text.split(|char: char| !char.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}
