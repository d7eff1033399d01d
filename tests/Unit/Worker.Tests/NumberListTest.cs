using System.Globalization;
using System.Text;
using System.Text.Json;
using Sluice.Testing;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Tests;

/// <summary>
/// Tests the fast reader of lists of numbers: it returns the same bits as .NET's reader, and accepts only JSON.
/// </summary>
public sealed class NumberListTest
{
    [Fact]
    public void Every_float_in_every_notation_has_the_bits_that_the_framework_reads()
    {
        var random = new Random(20261121);
        string[] formats = ["R", "E16", "E8", "F6", "G17", "0.00000000000000000000", "E3"];
        for (var n = 0; n < RandomCases.Count(300_000); n++)
        {
            var value = n % 3 == 0 ? BitConverter.Int32BitsToSingle(random.Next()) : (float)(
                (random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-8, 8)));
            if (!float.IsFinite(value)) continue;
            Check(
                (n % 5 == 0 ? random.NextDouble() : value)
                    .ToString(formats[n % formats.Length], CultureInfo.InvariantCulture));
        }
    }

    [Theory]
    [InlineData("16777217")]
    [InlineData("16777217.0000000000000000001")]
    [InlineData("0.00000000000000000000000000000000000000000000140129846432481707")]
    [InlineData("7.006492321624085e-46")]
    [InlineData("7.0064923216240853e-46")]
    [InlineData("3.4028235677973366e38")]
    [InlineData("1.00000005960464477539062500")]
    [InlineData("1.00000005960464477539062501")]
    [InlineData("1.00000005960464477539062499")]
    [InlineData("9007199254740993")]
    [InlineData("123456789012345678901234567890e-20")]
    [InlineData("-0")]
    [InlineData("-0.0e-9999")]
    [InlineData("1e-46")]
    [InlineData("0e99")]
    public void Numbers_between_two_floats_are_rounded_as_in_NET(string text) => Check(text);

    [Theory]
    [InlineData("01")]
    [InlineData("+1")]
    [InlineData(".5")]
    [InlineData("1.")]
    [InlineData("1e")]
    [InlineData("1e+")]
    [InlineData("-")]
    [InlineData("--1")]
    [InlineData("1 2")]
    [InlineData("1,")]
    [InlineData(",1")]
    [InlineData("1,,2")]
    [InlineData("NaN")]
    [InlineData("null")]
    [InlineData("\"1\"")]
    [InlineData("1e400")]
    [InlineData("0x1")]
    [InlineData("1_0")]
    [InlineData("[1,2")]
    [InlineData("1.5.5,0.12345678901234567")]
    [InlineData("0.12345678.,0.12345678901234567")]
    [InlineData("1.,0.12345678901234567890")]
    [InlineData("-.5,0.12345678901234567890")]
    [InlineData("0.1a,0.12345678901234567890")]
    [InlineData("0.1-0.2,0.12345678901234567890")]
    public void The_general_reader_handles_all_other_lists(string elements) =>
        Assert.False(
            NumberList.TryRead(
                Encoding.UTF8.GetBytes($"[{elements}]"),
                new float[elements.Contains(',', StringComparison.Ordinal) ? 2 : 1]));

    [Theory]
    [InlineData("[1,2,3,4]", true)]
    [InlineData("[[1,2],[3,4]]", true)]
    [InlineData(" [ [ 1 , 2 ] , [ 3 , 4 ] ] ", false)]
    [InlineData("[ [ 1 , 2 ] ,\n[ 3 , 4 ] ]", true)]
    [InlineData("[[1,2],[3]]", false)]
    [InlineData("[[1,2,3],[4]]", true)]
    [InlineData("[1,[2],[3],4]", true)]
    [InlineData("[[1,2],3,4]", true)]
    [InlineData("[[[1,2],[3,4]]]", true)]
    [InlineData("[[1,2],[3,4],[]]", true)]
    [InlineData("[[1,2],[3,4],]", false)]
    [InlineData("[[1,2],[3,4,]]", false)]
    [InlineData("[[1,2],,[3,4]]", false)]
    [InlineData("[[,1,2],[3,4]]", false)]
    [InlineData("[[1,2],[3,4]", false)]
    [InlineData("[[1,2][3,4]]", false)]
    [InlineData("[1,2,3,4]]", false)]
    [InlineData("[1,2,3,4,5]", false)]
    public void A_list_is_flat_or_nested_in_any_way(string json, bool fits)
    {
        var into = new float[4];
        Assert.Equal(fits, NumberList.TryRead(Encoding.UTF8.GetBytes(json), into));
        if (fits) Assert.Equal([1, 2, 3, 4], into);
    }

    [Fact]
    public void Lists_are_nested_at_most_100_levels_deep()
    {
        Assert.True(
            NumberList.TryRead(
                Encoding.UTF8.GetBytes(new string('[', 100) + "1" + new string(']', 100)),
                new float[1]));
        Assert.False(
            NumberList.TryRead(
                Encoding.UTF8.GetBytes(new string('[', 101) + "1" + new string(']', 101)),
                new float[1]));
    }

    [Fact]
    public void Numbers_of_few_digits_have_the_bits_that_the_framework_reads()
    {
        var random = new Random(20261122);
        for (var n = 1; n <= 20; n++)
        {
            var format = "0." + new string('0', n);
            for (var i = 0; i < RandomCases.Count(40_000); i++) Check(
                ((decimal)random.NextDouble() * (i % 3 == 0 ? 0.001m : 10))
                    .ToString(format, CultureInfo.InvariantCulture));
        }
    }

    [Theory]
    [InlineData("0.0")]
    [InlineData("-0.0")]
    [InlineData("9.99999999")]
    [InlineData("-9.99999999")]
    [InlineData("0.00000001")]
    [InlineData("0.5e-3")]
    [InlineData("0.12345678E5")]
    [InlineData("0.123456789e5")]
    [InlineData("0.1234567812345678")]
    [InlineData("0.1234567812345678e-30")]
    [InlineData("0.12345678123456789")]
    [InlineData("0.123456781234567812")]
    [InlineData("0.1234567812345678123")]
    [InlineData("9.99999999999999999")]
    [InlineData("9.999999999999999999")]
    [InlineData("0.12345678123456781e3")]
    [InlineData("12.5")]
    public void Short_numbers_end_where_they_end(string text) => Check(text);

    /// <summary>
    /// Reads a number alone and with others after it, because the reader has a shorter path for the second case.
    /// </summary>
    private static void Check(string text)
    {
        CheckAlone(text);
        if (!float.IsFinite(Single(text))) return;
        var into = new float[4];
        var other = text[0] == '-' ? text[1..] : "-" + text;
        Assert.True(
            NumberList.TryRead(Encoding.UTF8.GetBytes($"[{text},{other}, 7,0.123456789012345678901]"), into),
            text);
        Assert.True(
            Bits(into[0]) == Bits(Single(text)) && Bits(into[1]) == Bits(Single(other)) && into[2] == 7,
            $"{text}: {into[0]:R}, {into[1]:R}");
    }

    private static int Bits(float value) => BitConverter.SingleToInt32Bits(value);

    private static float Single(string text)
    {
        var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(text));
        reader.Read();
        return reader.GetSingle();
    }

    private static void CheckAlone(string text)
    {
        var json = Encoding.UTF8.GetBytes($"[{text}]");
        var reader = new Utf8JsonReader(json);
        reader.Read();
        reader.Read();
        var wanted = reader.GetSingle();
        var into = new float[1];
        var read = NumberList.TryRead(json, into);
        Assert.True(read || !float.IsFinite(wanted), text);
        if (read) Assert.True(
            BitConverter.SingleToInt32Bits(wanted) == BitConverter.SingleToInt32Bits(into[0]),
            $"{text}: {wanted:R}, but {into[0]:R}");
    }
}
