using System.Globalization;
using System.Security;
using System.Text;

namespace Sluice.Simulator.Report;

/// <summary>Writes simple drawings of shapes and text as SVG.</summary>
internal sealed class Svg(int width, int height)
{
    private readonly StringBuilder body = new();

    public void Line(double x1, double y1, double x2, double y2, string colour, double thickness = 1) =>
        body.AppendLine(CultureInfo.InvariantCulture,
            $"<line x1=\"{x1:0.#}\" y1=\"{y1:0.#}\" x2=\"{x2:0.#}\" y2=\"{y2:0.#}\" "
            + $"stroke=\"{colour}\" stroke-width=\"{thickness:0.#}\"/>");

    public void Dot(double x, double y, double radius, string colour) => body.AppendLine(CultureInfo.InvariantCulture,
        $"<circle cx=\"{x:0.#}\" cy=\"{y:0.#}\" r=\"{radius:0.#}\" fill=\"{colour}\"/>");

    public void Path(IEnumerable<(double X, double Y)> points, string colour, bool filled = false)
    {
        var d = new StringBuilder("M");
        foreach (var (x, y) in points) d.Append(CultureInfo.InvariantCulture, $" {x:0.#},{y:0.#}");
        body.AppendLine(filled ? $"<path d=\"{d} Z\" fill=\"{colour}\"/>"
            : $"<path d=\"{d}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.3\"/>");
    }

    public void Text(double x, double y, string text, string anchor = "start", int size = 11, string colour = "#222") =>
        body.AppendLine(CultureInfo.InvariantCulture,
            $"<text x=\"{x:0.#}\" y=\"{y:0.#}\" font-size=\"{size}\" text-anchor=\"{anchor}\" "
            + $"fill=\"{colour}\">{SecurityElement.Escape(text)}</text>");

    public override string ToString() =>
        $"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" "
        + $"viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\">\n"
        + $"<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n{body}</svg>\n";
}
