using System.Buffers;
using System.Text;
using Sluice.Gateway.Selection;

namespace Sluice.Gateway.Tests.Selection;

/// <summary>Tests the search for a field in a JSON body that arrives in parts.</summary>
public sealed class StringFieldFinderTest
{
    [Theory]
    [InlineData("""{"model":"digits"}""", "digits")]
    [InlineData("""  {"messages":[{"model":"nested"}], "x":{"model":1}, "model" : "a\u0042c" , "z":1}""", "aBc")]
    [InlineData("""{"n":-1.5e3,"b":[true,null,[]],"model":"日本 \"q\""}""", "日本 \"q\"")]
    [InlineData("""{"model":"first","model":"second"}""", "first")]
    public void A_field_is_found_wherever_the_body_is_cut(string body, string expected)
    {
        var bytes = Encoding.UTF8.GetBytes(body);
        for (var cut = 0; cut <= bytes.Length; cut++)
        {
            var finder = new StringFieldFinder("model");
            var status = finder.Search(new ReadOnlySequence<byte>(bytes.AsMemory(0, cut)), isComplete: false);
            if (status == FieldStatus.NeedsMore)
                status = finder.Search(new ReadOnlySequence<byte>(bytes), isComplete: true);
            Assert.Equal((FieldStatus.Found, expected), (status, finder.Value));
        }
    }

    [Theory]
    [InlineData("""{"Model":"x"}""", FieldStatus.Missing)]
    [InlineData("{}", FieldStatus.Missing)]
    [InlineData("""{"model":3}""", FieldStatus.NotAString)]
    [InlineData("""{"model":null}""", FieldStatus.NotAString)]
    [InlineData("""{"model":{"model":"x"}}""", FieldStatus.NotAString)]
    [InlineData("""["model","x"]""", FieldStatus.Invalid)]
    [InlineData("\"model\"", FieldStatus.Invalid)]
    [InlineData("""{"model":"x""", FieldStatus.Invalid)]
    [InlineData("""{"a":1,""", FieldStatus.Invalid)]
    [InlineData("{a:1}", FieldStatus.Invalid)]
    [InlineData("""{"model":"\ud800"}""", FieldStatus.Invalid)]
    [InlineData("", FieldStatus.Invalid)]
    public void A_body_without_the_field_is_told_from_a_body_that_is_no_object(string body, FieldStatus expected)
    {
        var finder = new StringFieldFinder("model");
        Assert.Equal(
            expected,
            finder.Search(new ReadOnlySequence<byte>(Encoding.UTF8.GetBytes(body)), isComplete: true));
        Assert.Equal(expected == FieldStatus.Invalid, finder.Error is not null);
    }

    [Fact]
    public void The_bytes_of_a_long_value_are_not_parsed_again_with_each_part()
    {
        var body = Encoding.UTF8.GetBytes($$"""{"image":"{{new string('x', 1 << 20)}}","model":"m"}""");
        var finder = new StringFieldFinder("model");
        var searched = 0L;
        for (var arrived = 1024; arrived < body.Length; arrived += 1024)
        {
            var part = new ReadOnlySequence<byte>(body.AsMemory(0, arrived));
            Assert.Equal(FieldStatus.NeedsMore, finder.Search(part, isComplete: false));
            searched = finder.BytesParsed;
        }

        Assert.Equal(FieldStatus.Found, finder.Search(new ReadOnlySequence<byte>(body), isComplete: true));
        Assert.InRange(searched, 1, 3 * body.Length);
    }
}
