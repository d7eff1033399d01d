using System.Globalization;

namespace Sluice.Worker.Generation.Chat.Jinja;

/// <summary>
/// Numbers as JavaScript writes and reads them: all numbers are doubles, with the shortest digits that give the same
/// double, and an exponent from 1e21 and below 1e-6 (ECMA-262, Number::toString).
/// </summary>
internal static class JavaScriptNumber
{
    /// <summary>Returns the text of a number.</summary>
    public static string Format(double value)
    {
        if (double.IsNaN(value)) return "NaN";
        if (double.IsInfinity(value)) return value > 0 ? "Infinity" : "-Infinity";
        if (value == 0) return "0";
        if (value == Math.Truncate(value) && Math.Abs(value) < 1e15)
            return ((long)value).ToString(CultureInfo.InvariantCulture);
        // The shortest digits, as "ddd", "d.ddd", "0.00ddd" or "d.dddE+xx".
        var text = Math.Abs(value).ToString("R", CultureInfo.InvariantCulture);
        var exponent = text.IndexOf('E', StringComparison.Ordinal);
        var mantissa = exponent < 0 ? text : text[..exponent];
        var point = mantissa.IndexOf('.', StringComparison.Ordinal);
        var digits = mantissa.Replace(".", "", StringComparison.Ordinal).TrimStart('0');
        var zeros = mantissa.Length - (point < 0 ? 0 : 1) - digits.Length;
        // The number is 0.digits times ten to the power of n.
        var n = (point < 0 ? mantissa.Length : point) - zeros +
            (exponent < 0 ? 0 : int.Parse(text.AsSpan(exponent + 1), CultureInfo.InvariantCulture));
        return (value < 0 ? "-" : "") + Place(digits.TrimEnd('0'), n);
    }

    /// <summary>
    /// Returns the integer at the start of a text as <c>parseInt</c> reads it; NaN if the text starts with none.
    /// </summary>
    public static double ParseInteger(string text) => Parse(text, acceptsFraction: false);

    /// <summary>Returns the number at the start of a text as <c>parseFloat</c> reads it; NaN without one.</summary>
    public static double ParseFloat(string text) => Parse(text, acceptsFraction: true);

    /// <summary>Returns the number that a whole text stands for, as the operator <c>==</c> converts it.</summary>
    public static double Convert(string text)
    {
        text = JavaScriptText.Trim(text);
        if (text.Length == 0) return 0;
        if (text is "Infinity" or "+Infinity") return double.PositiveInfinity;
        if (text == "-Infinity") return double.NegativeInfinity;
        return NumberLength(text, acceptsFraction: true) == text.Length
            ? double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture)
            : double.NaN;
    }

    private static string Place(string digits, int n)
    {
        var k = digits.Length;
        if (k <= n && n <= 21) return digits + new string('0', n - k);
        if (n is > 0 and <= 21) return $"{digits.AsSpan(0, n)}.{digits.AsSpan(n)}";
        if (n is > -6 and <= 0) return "0." + new string('0', -n) + digits;
        var exponent = n - 1;
        var sign = exponent < 0 ? "-" : "+";
        var mantissa = k == 1 ? digits : $"{digits[0]}.{digits.AsSpan(1)}";
        return $"{mantissa}e{sign}{Math.Abs(exponent).ToString(CultureInfo.InvariantCulture)}";
    }

    private static double Parse(string text, bool acceptsFraction)
    {
        text = JavaScriptText.TrimStart(text);
        if (acceptsFraction && text.TrimStart('+', '-').StartsWith("Infinity", StringComparison.Ordinal))
            return text[0] == '-' ? double.NegativeInfinity : double.PositiveInfinity;
        var length = NumberLength(text, acceptsFraction);
        return length == 0
            ? double.NaN
            : double.Parse(text.AsSpan(0, length), NumberStyles.Float, CultureInfo.InvariantCulture);
    }

    // The length of the longest number at the start of a text.
    private static int NumberLength(string text, bool acceptsFraction)
    {
        var at = text.Length > 0 && text[0] is '+' or '-' ? 1 : 0;
        var start = at;
        while (at < text.Length && char.IsAsciiDigit(text[at])) at++;
        var digits = at - start;
        if (!acceptsFraction) return digits > 0 ? at : 0;
        if (at < text.Length && text[at] == '.')
        {
            var fraction = at + 1;
            while (fraction < text.Length && char.IsAsciiDigit(text[fraction])) fraction++;
            digits += fraction - at - 1;
            if (digits > 0) at = fraction;
        }

        if (digits == 0) return 0;
        var exponent = at;
        if (exponent >= text.Length || text[exponent] is not ('e' or 'E')) return at;
        exponent++;
        if (exponent < text.Length && text[exponent] is '+' or '-') exponent++;
        var first = exponent;
        while (exponent < text.Length && char.IsAsciiDigit(text[exponent])) exponent++;
        return exponent > first ? exponent : at;
    }
}
