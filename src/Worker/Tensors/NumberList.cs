using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Sluice.Worker.Tensors;

/// <summary>
/// Parses a JSON list of numbers, flat or nested, into floats. It parses up to eight digits at a time (SWAR) and
/// rounds each number to the nearest float. For other tokens, another number of elements, and infinities, it returns
/// false, and the general reader parses the list and reports errors.
/// </summary>
public static class NumberList
{
    private static readonly SearchValues<byte> Brackets = SearchValues.Create("[]\"{"u8);

    /// <summary>
    /// Powers of ten as the nearest doubles, starting with ten to the power of minus <see cref="MostExponent"/>.
    /// </summary>
    private static readonly double[] Powers = [.. Enumerable.Range(-MostExponent, (2 * MostExponent) + 1)
        .Select(e => string.Create(CultureInfo.InvariantCulture, $"1e{e}"))
        .Select(text => double.Parse(text, CultureInfo.InvariantCulture))];

    private const int MostExponent = 60;

    /// <summary>
    /// Largest error of <see cref="TryScale"/>, in units of a double's last place. Its three roundings and the
    /// dropped digits cause 3.2 units.
    /// </summary>
    private const int Slack = 8;

    private const int CharZero = '0';

    /// <summary>Largest nesting depth of lists. This is the limit of the general reader and of Triton.</summary>
    private const int MaxDepth = 100;

    /// <summary>
    /// Returns the index of the bracket that closes the list at <paramref name="start"/>. -1 if the list contains
    /// strings or objects, or has no end.
    /// </summary>
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

    /// <summary>
    /// Reads the list into exactly as many floats as the target has, for any nesting. Returns false if the general
    /// reader must parse the list; the content of the target is then undefined.
    /// </summary>
    /// <param name="json">The list, including its brackets.</param>
    /// <param name="into">Its elements, in row-major order.</param>
    public static bool TryRead(ReadOnlySpan<byte> json, Span<float> into)
    {
        var (at, count, depth) = (0, 0, 0);
        // "value": the last token is an element or the end of a list. "opened": it is the bracket that opens a list.
        var (value, opened) = (false, false);
        while (at < json.Length)
        {
            var c = json[at];
            if (StartsNumber(c))
            {
                if (value || depth == 0 || !TryNumbers(json, ref at, into, ref count, out value)) return false;
                opened = false;
            }
            else if (c is (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t') at++;
            else if (c == '[')
            {
                if (value || depth++ == MaxDepth) return false;
                opened = true;
                at++;
            }
            else if (c == ']')
            {
                if (depth == 0 || !(value || opened)) return false;
                (value, opened) = (true, false);
                at++;
                if (--depth == 0) return count == into.Length && at == json.Length;
            }
            else if (c == ',')
            {
                if (!value) return false;
                value = false;
                at++;
            }
            else return false;
        }

        return false;
    }

    private static bool StartsNumber(byte c) => c == '-' || (uint)(c - CharZero) <= 9;

    /// <summary>Reads numbers that are separated by commas with at most one space.</summary>
    private static bool TryNumbers(ReadOnlySpan<byte> json, ref int at, Span<float> into, ref int count, out bool ended)
    {
        var i = at;
        ended = true;
        do
        {
            if (count == into.Length) return false;
            if (!TryShort(json, ref i, out into[count]) && !TryNumber(json, ref i, out into[count])) return false;
            count++;
            ended = i + 1 >= json.Length || json[i] != ',';
            if (!ended) i += json[i + 1] == ' ' ? 2 : 1;
        }
        while (!ended && i < json.Length && StartsNumber(json[i]));
        at = i;
        return true;
    }

    /// <summary>
    /// Parses one digit, a point and at most eight digits, which is the usual form of floats below ten. The number is
    /// M / 10^n with M below 10^9. Its distance to the middle between two floats is at least 2^-51.6 of itself, and
    /// it cannot be that middle, which has 21 or more decimals. M * 10^-n as a double has an error of at most 2^-52
    /// of itself, so it rounds to the same float as M / 10^n. Numbers with up to eighteen digits are scaled as in the
    /// general case. Returns false for any other form.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TryShort(ReadOnlySpan<byte> json, ref int at, out float number)
    {
        number = 0;
        // Bytes read: a sign, a digit, a point, twice eight digits, two more digits, and the byte after them.
        if (json.Length - at < 22) return false;
        ref var text = ref Unsafe.Add(ref MemoryMarshal.GetReference(json), at);
        var sign = text == '-' ? 1 : 0;
        text = ref Unsafe.Add(ref text, sign);
        var whole = (uint)(text - CharZero);
        if (whole > 9 || Unsafe.Add(ref text, 1) != '.') return false;
        var n = Leading(ref Unsafe.Add(ref text, 2), out var digits);
        if (n == 0) return false;
        var mantissa = ((ulong)whole * Tens[n]) + Eight(digits << (64 - (8 * n)));
        if (n == 8 && Leading(ref Unsafe.Add(ref text, 10), out digits) is var more and > 0)
        {
            mantissa = (mantissa * Tens[more]) + Eight(digits << (64 - (8 * more)));
            n += more;
            for (; n is 16 or 17 && mantissa < 100_000_000_000_000_000 && IsDigit(Unsafe.Add(ref text, 2 + n)); n++)
                mantissa = (mantissa * 10) + (uint)(Unsafe.Add(ref text, 2 + n) - CharZero);
            if (Continues(Unsafe.Add(ref text, 2 + n)) || !TryScale(mantissa, -n, sign == 1, out number)) return false;
        }
        else
        {
            if (Continues(Unsafe.Add(ref text, 2 + n))) return false;
            number = (float)((long)mantissa * Tenths[n]);
            if (sign == 1) number = -number;
        }

        at += sign + 2 + n;
        return true;
    }

    private static bool IsDigit(byte c) => (uint)(c - CharZero) <= 9;

    /// <summary>Returns whether the number continues with an exponent or another digit.</summary>
    private static bool Continues(byte next) => (next | 0x20) == 'e' || (uint)(next - CharZero) <= 9;

    /// <summary>
    /// Counts the digits among eight bytes, up to the first byte that is not a digit, and returns their values.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Leading(ref byte text, out ulong digits)
    {
        // A byte that is not a digit has its high bit set. The first such byte is found correctly, whatever follows it.
        digits = Unsafe.ReadUnaligned<ulong>(ref text) ^ 0x3030303030303030;
        return BitOperations.TrailingZeroCount(((digits + 0x7676767676767676) | digits) & 0x8080808080808080) >> 3;
    }

    /// <summary>
    /// Parses one number by JSON's grammar to the nearest float. Returns false if the general reader must parse it.
    /// </summary>
    private static bool TryNumber(ReadOnlySpan<byte> json, ref int at, out float number)
    {
        ref var text = ref MemoryMarshal.GetReference(json);
        var (i, length) = (at, json.Length);
        number = 0;
        var negative = Unsafe.Add(ref text, i) == '-';
        if (negative) i++;
        var (whole, exponent) = (i, 0);
        ulong mantissa = 0;
        i = Digits(ref text, i, length, ref mantissa, ref exponent);
        // The whole part of a JSON number is 0, or does not begin with 0.
        if (i == whole || (Unsafe.Add(ref text, whole) == '0' && i > whole + 1)) return false;
        if (i < length && Unsafe.Add(ref text, i) == '.')
        {
            var point = ++i;
            i = Digits(ref text, i, length, ref mantissa, ref exponent);
            if (i == point) return false;
            exponent -= i - point;
        }

        var hasExponent = i < length && (Unsafe.Add(ref text, i) | 0x20) == 'e';
        if (hasExponent && !TryExponent(json, ref i, ref exponent)) return false;
        var start = at;
        at = i;
        return TryScale(mantissa, exponent, negative, out number) || TrySlow(json[start..i], out number);
    }

    /// <summary>
    /// Adds the digits from <paramref name="i"/> on to the mantissa, up to 18 significant digits (they fit into 63
    /// bits), and counts the others in <paramref name="dropped"/>. Returns the index after the digits.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Digits(ref byte text, int i, int length, ref ulong mantissa, ref int dropped)
    {
        var sum = mantissa;
        var full = true;
        while (full && i + 8 <= length && sum < 10_000_000_000)
        {
            var n = Leading(ref Unsafe.Add(ref text, i), out var chunk);
            full = n == 8;
            if (n > 0) sum = (sum * Tens[n]) + Eight(chunk << (64 - (8 * n)));
            i += n;
        }

        for (; i < length && (uint)(Unsafe.Add(ref text, i) - CharZero) <= 9; i++)
        {
            if (sum < 100_000_000_000_000_000) sum = (sum * 10) + (uint)(Unsafe.Add(ref text, i) - CharZero);
            else dropped++;
        }

        mantissa = sum;
        return i;
    }

    /// <summary>Powers of ten for <see cref="TryShort"/>.</summary>
    private static ReadOnlySpan<double> Tenths => [1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8];

    private static ReadOnlySpan<uint> Tens => [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

    /// <summary>
    /// Returns the number that eight digits form, the first in the lowest byte. Each step adds neighbors, in lanes
    /// of 8, 16 and 32 bits.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Eight(ulong digits)
    {
        digits = (digits * 10) + (digits >> 8);
        var even = (digits & 0x000000FF000000FF) * 0x000F424000000064;
        var odd = ((digits >> 16) & 0x000000FF000000FF) * 0x0000271000000001;
        return (uint)((even + odd) >> 32);
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

    /// <summary>
    /// Multiplies mantissa and power. The product as a double has an error of at most 3.2 units of its last place:
    /// half a unit for each of the two factors and for the product, of a significand that can be twice as large, and
    /// 1e-17 of it for the dropped digits. Rounding it to a float is correct unless the double is that close to the
    /// middle between two floats.
    /// </summary>
    private static bool TryScale(ulong mantissa, int exponent, bool negative, out float number)
    {
        number = negative ? -0f : 0f;
        if (mantissa == 0) return true;
        if (exponent is < -MostExponent or > MostExponent) return false;
        var value = (double)(long)mantissa * Powers[exponent + MostExponent];
        if (value is < 1.1754943508222875e-38 or > 3.4028234663852886e38) return false;
        var middle = (int)(BitConverter.DoubleToUInt64Bits(value) & 0x1FFFFFFF) - 0x10000000;
        if (middle is >= -Slack and <= Slack) return false;
        number = (float)(negative ? -value : value);
        return true;
    }

    private static bool TrySlow(ReadOnlySpan<byte> text, out float number) =>
        Utf8Parser.TryParse(text, out number, out var used) && used == text.Length && float.IsFinite(number);
}
