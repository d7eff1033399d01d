using Sluice.Gateway.Jobs;
using Sluice.Storage.Jobs;

namespace Sluice.Gateway.Tests.Jobs;

public sealed class OutputRetryTest
{
    [Theory]
    [InlineData(PayloadFault.Full, 0, false, OutputStep.Retry)]
    [InlineData(PayloadFault.Full, 59.9, false, OutputStep.Retry)]
    [InlineData(PayloadFault.Full, 60, false, OutputStep.Fail)]
    [InlineData(PayloadFault.Broken, 60, false, OutputStep.Fail)]
    [InlineData(PayloadFault.Unavailable, 4.9, false, OutputStep.Retry)]
    [InlineData(PayloadFault.Unavailable, 5, false, OutputStep.Requeue)]
    [InlineData(PayloadFault.Full, 0, true, OutputStep.Requeue)]
    public void A_full_disk_is_retried_and_without_a_share_the_job_is_returned(
        PayloadFault fault,
        double seconds,
        bool leaving,
        OutputStep expected) =>
        Assert.Equal(expected, OutputRetry.Next(fault, TimeSpan.FromSeconds(seconds), leaving));
}
