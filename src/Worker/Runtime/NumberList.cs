using System.Buffers;
using System.Buffers.Text;
using System.Runtime.InteropServices;

namespace Sluice.Worker.Runtime;

/// <summary>
/// A JSON list of numbers, flat or nested, straight into floats: eight digits at a time where they come so (SWAR), exact. What it
/// does not know (other tokens, lists that do not fit their shape, numbers outside of what is exact here) it leaves to the general
/// reader, which also has the words for what is wrong.
/// </summary>
public static class NumberList
{
    private static readonly SearchValues<byte> Brackets = SearchValues.Create("[]\"{"u8);

    /// <summary>Powers of ten that a double holds exactly.</summary>
    private static readonly double[] Exact =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22];

    /// <summary>Digits of a mantissa that a double holds exactly, and one more that rounds it up does not leave that range.</summary>
    private const int ExactDigits = 15;

    /// <summary>Index of the bracket that closes the list that begins at <paramref name="start"/>; -1: there are strings or objects in it, or
    /// no end.</summary>
    public static int FindEnd(ReadOnlySpan<byte> json, int start)
    {
        var (at, depth) = (start, 0);
        while (true)
        {
            var next = json[at..].IndexOfAny(Brackets);
            if (next < 0) return -1;
            at += next;
            switch (json[at])
            {
                case (byte)'[': depth++; break;
                case (byte)']' when --depth == 0: return at;
                case (byte)']': break;
                default: return -1;
            }

            at++;
        }
    }

    /// <summary>Reads the list into exactly as many floats as there are; false: it is for the general reader, and what was written is void.</summary>
    /// <param name="json">The list, from bracket to bracket.</param>
    /// <param name="into">Its elements.</param>
    /// <param name="shape">How it is nested, unless it is flat.</param>
    public static bool TryRead(ReadOnlySpan<byte> json, Span<float> into, ReadOnlySpan<long> shape)
    {
        var (at, count, depth, rank) = (0, 0, 0, shape.Length);
        Span<long> counts = stackalloc long[rank + 1];
        var nested = false;
        var value = false;
        while (at < json.Length)
        {
            var c = json[at];
            if (c is (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t') at++;
            else if (c == '[')
            {
                if (value || depth >= Math.Max(1, rank)) return false;
                if (depth > 0)
                {
                    if (!nested && count > 0) return false;
                    nested = true;
                    if (counts[depth - 1]++ >= shape[depth - 1]) return false;
                }

                counts[depth++] = 0;
                at++;
            }
            else if (c == ']')
            {
                if (depth == 0 || (!value && counts[depth - 1] > 0)) return false;
                if (nested && counts[depth - 1] != shape[depth - 1]) return false;
                value = true;
                at++;
                if (--depth == 0) return count == into.Length && at == json.Length;
            }
            else if (c == ',')
            {
                if (!value) return false;
                value = false;
                at++;
            }
            else
            {
                if (value || count == into.Length || (nested && depth != rank) || !TryNumber(json, ref at, out into[count])) return false;
                counts[depth - 1]++;
                count++;
                value = true;
            }
        }

        return false;
    }

    /// <summary>One number by JSON's grammar, as the float nearest to it; false: the general reader is to look at it.</summary>
    public static bool TryNumber(ReadOnlySpan<byte> json, ref int at, out float number)
    {
        var (i, start) = (at, at);
        number = 0;
        var negative = i < json.Length && json[i] == '-';
        if (negative) i++;
        var whole = i;
        ulong mantissa = 0;
        Digits(json, ref i, ref mantissa, out var digits, out var dropped);
        // JSON's whole part is 0, or does not begin with it.
        if (i == whole || (json[whole] == '0' && i > whole + 1)) return false;
        var exponent = dropped;
        if (i < json.Length && json[i] == '.')
        {
            var point = ++i;
            Fraction(json, ref i, ref mantissa, ref digits, out var kept, out var lost);
            if (i == point) return false;
            exponent -= kept;
            dropped += lost;
        }

        if (i < json.Length && (json[i] | 0x20) == 'e' && !TryExponent(json, ref i, ref exponent)) return false;
        at = i;
        return dropped == 0 ? TryScale(mantissa, exponent, negative, out number) || TrySlow(json[start..i], out number)
            // Digits beyond those kept: the number is between two neighbours; when both are the same float, so is it.
            : (TryScale(mantissa, exponent, negative, out number) && TryScale(mantissa + 1, exponent, negative, out var above)
                && number.Equals(above)) || TrySlow(json[start..i], out number);
    }

    private static void Digits(ReadOnlySpan<byte> json, ref int i, ref ulong mantissa, out int digits, out int dropped)
    {
        (digits, dropped) = (0, 0);
        for (; i < json.Length && (uint)(json[i] - '0') <= 9; i++)
        {
            if (digits >= ExactDigits)
            {
                dropped++;
                continue;
            }

            mantissa = (mantissa * 10) + (uint)(json[i] - '0');
            if (mantissa > 0) digits++;
        }
    }

    private static void Fraction(ReadOnlySpan<byte> json, ref int i, ref ulong mantissa, ref int digits, out int kept, out int lost)
    {
        (kept, lost) = (0, 0);
        while (digits + 8 <= ExactDigits && i + 8 <= json.Length && TryEight(json[i..], out var eight))
        {
            mantissa = (mantissa * 100_000_000) + eight;
            digits = mantissa == 0 ? 0 : digits + 8;
            (i, kept) = (i + 8, kept + 8);
        }

        for (; i < json.Length && (uint)(json[i] - '0') <= 9; i++)
        {
            if (digits >= ExactDigits)
            {
                lost++;
                continue;
            }

            mantissa = (mantissa * 10) + (uint)(json[i] - '0');
            if (mantissa > 0) digits++;
            kept++;
        }
    }

    /// <summary>Eight digits at once: each step adds neighbours, in lanes of 8, 16 and 32 bits.</summary>
    private static bool TryEight(ReadOnlySpan<byte> text, out uint number)
    {
        var chunk = MemoryMarshal.Read<ulong>(text);
        number = 0;
        if (((chunk & 0xF0F0F0F0F0F0F0F0) | (((chunk + 0x0606060606060606) & 0xF0F0F0F0F0F0F0F0) >> 4)) != 0x3333333333333333) return false;
        chunk -= 0x3030303030303030;
        chunk = (chunk * 10) + (chunk >> 8);
        chunk = (((chunk & 0x000000FF000000FF) * 0x000F424000000064) + (((chunk >> 16) & 0x000000FF000000FF) * 0x0000271000000001)) >> 32;
        number = (uint)chunk;
        return true;
    }

    private static bool TryExponent(ReadOnlySpan<byte> json, ref int i, ref int exponent)
    {
        i++;
        var negative = i < json.Length && json[i] == '-';
        if (i < json.Length && json[i] is (byte)'-' or (byte)'+') i++;
        var (first, n) = (i, 0);
        for (; i < json.Length && (uint)(json[i] - '0') <= 9 && n < 10_000; i++) n = (n * 10) + (json[i] - '0');
        if (i == first || n >= 10_000) return false;
        exponent += negative ? -n : n;
        return true;
    }

    /// <summary>Exact where mantissa and power are (Clinger 1990): one rounding to a double, and the second one, to a float, is right unless the double
    /// lies just between two floats.</summary>
    private static bool TryScale(ulong mantissa, int exponent, bool negative, out float number)
    {
        number = 0;
        if (mantissa == 0)
        {
            number = negative ? -0f : 0f;
            return true;
        }

        if (exponent is < -22 or > 22) return false;
        var value = exponent < 0 ? mantissa / Exact[-exponent] : mantissa * Exact[exponent];
        if (value is < 1.1754943508222875e-38 or > 3.4028234663852886e38) return false;
        if ((BitConverter.DoubleToUInt64Bits(value) & 0x1FFFFFFF) == 0x10000000) return false;
        number = (float)(negative ? -value : value);
        return true;
    }

    private static bool TrySlow(ReadOnlySpan<byte> text, out float number) =>
        Utf8Parser.TryParse(text, out number, out var used) && used == text.Length && float.IsFinite(number);
}
