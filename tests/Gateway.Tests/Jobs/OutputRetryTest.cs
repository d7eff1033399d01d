using Sluice.Core.Jobs;
using Sluice.Gateway.Jobs;

namespace Sluice.Gateway.Tests.Jobs;

public sealed class OutputRetryTest
{
    [Theory]
    [InlineData(PayloadFault.Full, 0, false, OutputStep.Retry)]
    [InlineData(PayloadFault.Full, 59.9, false, OutputStep.Retry)]
    [InlineData(PayloadFault.Full, 60, false, OutputStep.Fail)]
    [InlineData(PayloadFault.Broken, 60, false, OutputStep.Fail)]
    [InlineData(PayloadFault.Unavailable, 4.9, false, OutputStep.Retry)]
    [InlineData(PayloadFault.Unavailable, 5, false, OutputStep.GiveBack)]
    [InlineData(PayloadFault.Full, 0, true, OutputStep.GiveBack)]
    public void An_output_is_kept_for_a_full_disk_and_given_back_where_the_share_is_away(PayloadFault fault, double seconds, bool leaving, OutputStep expected) =>
        Assert.Equal(expected, OutputRetry.Next(fault, TimeSpan.FromSeconds(seconds), leaving));
}
