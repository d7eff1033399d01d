using Sluice.Domain.Usage;

namespace Sluice.Domain.Tests.Usage;

public sealed class WorkUsageTest
{
    [Theory]
    [InlineData(0, 0, 0, 0, 0, 0, 0, "")]
    [InlineData(9, 2, 1500, 0, 0, 0, 0, "9,2,1500")]
    [InlineData(0, 0, 1500, 0, 0, 0, 0, "0,0,1500")]
    [InlineData(9, 2, 1500, 7, 3, 16, 4, "9,2,1500,7,3,16,4")]
    [InlineData(0, 0, 0, 0, 0, 0, 4, "0,0,0,0,0,0,4")]
    [InlineData(-1, 2, -1, 0, -1, 16, 0, "0,2,0,0,0,16,0")]
    public void Quantities_have_the_order_of_the_script(
        long bytesIn, long bytesOut, long busy, long prompt, long cached, long generated, long wasted, string text)
    {
        var used = new WorkUsage { BytesIn = bytesIn, BytesOut = bytesOut, Busy = busy };
        Assert.Equal(text, used.WithTokens(prompt, cached, generated, wasted).Quantities);
    }
}
