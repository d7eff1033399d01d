using Sluice.Models.Uploads;

namespace Sluice.ControlPlane.Tests.Models;

/// <summary>Parts of uploads.</summary>
public sealed class UploadRangeTest
{
    [Theory]
    [InlineData("bytes 0-99/200", 0, 100, 200L, false)]
    [InlineData("bytes 100-199/200", 100, 100, 200L, true)]
    [InlineData("bytes 0-0/*", 0, 1, null, false)]
    public void A_range_is_parsed(string text, long from, long length, long? total, bool last)
    {
        var range = UploadRange.Parse(text)!.Value;
        Assert.Equal(new UploadRange(from, length, total), range);
        Assert.Equal(last, range.IsLast);
    }

    [Theory]
    [InlineData("")]
    [InlineData("bytes 0-/200")]
    [InlineData("bytes 5-4/200")]
    [InlineData("bytes 0-200/200")]
    [InlineData("bytes -1-5/200")]
    [InlineData("bytes */200")]
    [InlineData("items 0-1/2")]
    [InlineData("bytes 0-9999999999999999999/*")]
    public void Other_texts_are_no_range(string text) => Assert.Null(UploadRange.Parse(text));
}
