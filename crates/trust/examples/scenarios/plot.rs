use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 40.0;

/// A line of a plot.
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    pub(crate) color: &'a str,
    pub(crate) values: Vec<f64>,
}

/// An SVG of lines over cycles; values are between 0 and 1, and so is the axis, cut above the highest.
pub(crate) fn svg(title: &str, lines: &[Line<'_>], gate: f64) -> String {
    let highest = lines.iter().flat_map(|line| &line.values).copied().fold(gate, f64::max);
    let top = ((highest * 10.0).ceil() / 10.0).max(0.1);
    let cycles = lines.iter().map(|line| line.values.len()).max().unwrap_or(0).max(2);
    let x = |cycle: usize| LEFT + (WIDTH - LEFT - RIGHT) * cycle as f64 / (cycles - 1) as f64;
    let y = |value: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top;
    let mut to = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n"
    );
    let mut put = |text: String| writeln!(to, "{text}").expect("writing to a string");
    put(format!("<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>"));
    put(format!("<text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{}</text>", escaped(title)));
    for step in 0..=5 {
        let value = top * f64::from(step) / 5.0;
        let (at, right) = (y(value), WIDTH - RIGHT);
        put(format!("<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#ddd\"/>"));
        let (x, y) = (LEFT - 6.0, at + 4.0);
        put(format!("<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{:.0} %</text>", value * 100.0));
    }
    for cycle in (0..cycles).filter(|cycle| (cycle + 1) % 5 == 0) {
        let (x, y) = (x(cycle), HEIGHT - BOTTOM + 16.0);
        put(format!("<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{}</text>", cycle + 1));
    }
    let (middle, below) = (f64::midpoint(LEFT, WIDTH - RIGHT), HEIGHT - 8.0);
    put(format!("<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">cycle</text>"));
    let (at, right) = (y(gate), WIDTH - RIGHT);
    put(format!("<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#555\" stroke-dasharray=\"4 4\"/>"));
    for (place, line) in lines.iter().enumerate() {
        let points: Vec<_> = line
            .values
            .iter()
            .enumerate()
            .map(|(cycle, value)| format!("{:.1},{:.1}", x(cycle), y(*value)))
            .collect();
        let (points, color) = (points.join(" "), line.color);
        put(format!("<polyline points=\"{points}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>"));
        let x = WIDTH - RIGHT - 110.0 * (lines.len() - place) as f64;
        put(format!("<text x=\"{x}\" y=\"34\" fill=\"{color}\">{}</text>", escaped(line.name)));
    }
    put("</svg>".to_owned());
    to
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
