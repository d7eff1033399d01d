using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Sluice.Worker.Runtime;

/// <summary>
/// A JSON list of numbers, flat or nested, straight into floats: up to eight digits at a time (SWAR), and each the float nearest to it.
/// What it does not know (other tokens, another number of elements, infinities) it leaves to the general reader, which also has the
/// words for what is wrong.
/// </summary>
public static class NumberList
{
    private static readonly SearchValues<byte> Brackets = SearchValues.Create("[]\"{"u8);

    /// <summary>Powers of ten, each the double nearest to it, from ten to the minus <see cref="MostExponent"/> on.</summary>
    private static readonly double[] Powers = [.. Enumerable.Range(-MostExponent, (2 * MostExponent) + 1)
        .Select(e => double.Parse(string.Create(CultureInfo.InvariantCulture, $"1e{e}"), CultureInfo.InvariantCulture))];

    private const int MostExponent = 60;

    /// <summary>How many units of a double's last place <see cref="TryScale"/> may be off: 3.2 by its three roundings and the digits dropped.</summary>
    private const int Slack = 8;

    private const int CharZero = '0';

    /// <summary>Lists within each other, at most: the general reader's limit, which is Triton's.</summary>
    private const int MaxDepth = 100;

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

    /// <summary>Reads the list into exactly as many floats as there are, however its lists are nested; false: it is for the general reader, and what was
    /// written is void.</summary>
    /// <param name="json">The list, from bracket to bracket.</param>
    /// <param name="into">Its elements, row-major.</param>
    public static bool TryRead(ReadOnlySpan<byte> json, Span<float> into)
    {
        var (at, count, depth) = (0, 0, 0);
        // What came last: an element or a closed list; or the bracket that opens a list.
        var (value, opened) = (false, false);
        while (at < json.Length)
        {
            var c = json[at];
            if (Begins(c))
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

    private static bool Begins(byte c) => c == '-' || (uint)(c - CharZero) <= 9;

    /// <summary>Numbers with nothing but commas, and at most one space, between them.</summary>
    private static bool TryNumbers(ReadOnlySpan<byte> json, ref int at, Span<float> into, ref int count, out bool ended)
    {
        var i = at;
        ended = true;
        do
        {
            if (count == into.Length || !(TryShort(json, ref i, out into[count]) || TryNumber(json, ref i, out into[count]))) return false;
            count++;
            ended = i + 1 >= json.Length || json[i] != ',';
            if (!ended) i += json[i + 1] == ' ' ? 2 : 1;
        }
        while (!ended && i < json.Length && Begins(json[i]));
        at = i;
        return true;
    }

    /// <summary>
    /// One digit, a point and at most eight digits, which is what floats below ten are written as: M / 10^n, with M below 10^9, is no nearer to the middle between
    /// two floats than 2^-51.6 of itself (it cannot be that middle, which has 21 decimals or more), and M * 10^-n as a double is off by at most 2^-52 of itself: it
    /// rounds as M / 10^n does. With up to eighteen digits it is scaled as others are. False: it is something else.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TryShort(ReadOnlySpan<byte> json, ref int at, out float number)
    {
        number = 0;
        // A sign, a digit, a point, twice eight digits, two more, and what follows.
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
            for (; n is 16 or 17 && mantissa < 100_000_000_000_000_000 && (uint)(Unsafe.Add(ref text, 2 + n) - CharZero) <= 9; n++)
                mantissa = (mantissa * 10) + (uint)(Unsafe.Add(ref text, 2 + n) - CharZero);
            if (Goes(Unsafe.Add(ref text, 2 + n)) || !TryScale(mantissa, -n, sign == 1, out number)) return false;
        }
        else
        {
            if (Goes(Unsafe.Add(ref text, 2 + n))) return false;
            number = (float)((long)mantissa * Tenths[n]);
            if (sign == 1) number = -number;
        }

        at += sign + 2 + n;
        return true;
    }

    /// <summary>It is not the number's end: an exponent, or another digit.</summary>
    private static bool Goes(byte next) => (next | 0x20) == 'e' || (uint)(next - CharZero) <= 9;

    /// <summary>How many of eight bytes are digits, up to the first that is none; each of them as its number.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Leading(ref byte text, out ulong digits)
    {
        // Of a byte that is no digit the high bit is set: the first such is found right, whatever follows it.
        digits = Unsafe.ReadUnaligned<ulong>(ref text) ^ 0x3030303030303030;
        return BitOperations.TrailingZeroCount(((digits + 0x7676767676767676) | digits) & 0x8080808080808080) >> 3;
    }

    /// <summary>One number by JSON's grammar, as the float nearest to it; false: the general reader is to look at it.</summary>
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
        // JSON's whole part is 0, or does not begin with it.
        if (i == whole || (Unsafe.Add(ref text, whole) == '0' && i > whole + 1)) return false;
        if (i < length && Unsafe.Add(ref text, i) == '.')
        {
            var point = ++i;
            i = Digits(ref text, i, length, ref mantissa, ref exponent);
            if (i == point) return false;
            exponent -= i - point;
        }

        if (i < length && (Unsafe.Add(ref text, i) | 0x20) == 'e' && !TryExponent(json, ref i, ref exponent)) return false;
        var start = at;
        at = i;
        return TryScale(mantissa, exponent, negative, out number) || TrySlow(json[start..i], out number);
    }

    /// <summary>Takes the digits from <paramref name="i"/> on into the mantissa, 18 of them that count (they fit into 63 bits); those beyond are counted in
    /// <paramref name="dropped"/>. Returns where they end.</summary>
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

    /// <summary>Powers of ten that <see cref="TryShort"/> needs.</summary>
    private static ReadOnlySpan<double> Tenths => [1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8];

    private static ReadOnlySpan<uint> Tens => [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

    /// <summary>The number that eight digits are, the first in the lowest byte: each step adds neighbours, in lanes of 8, 16 and 32 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Eight(ulong digits)
    {
        digits = (digits * 10) + (digits >> 8);
        return (uint)((((digits & 0x000000FF000000FF) * 0x000F424000000064) + (((digits >> 16) & 0x000000FF000000FF) * 0x0000271000000001)) >> 32);
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
    /// Mantissa times power as a double is off by at most 3.2 units of its last place: half a unit for each of the two and for the product, of a
    /// significand that may be twice as large, and 1e-17 of it for what was dropped. To round it to a float is right unless the double lies that
    /// near to the middle between two floats.
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
