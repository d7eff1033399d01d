using System.Net;
using Sluice.Gateway.Startup;

namespace Sluice.Gateway.Tests;

/// <summary>Tests which of several reports of Sentinels is used.</summary>
public sealed class SentinelReportTest
{
    [Theory]
    [InlineData("1@3 2@4 1@3", 0, 2)] // A Sentinel that has not heard of the failover does not count.
    [InlineData("1@3 2@3 2@3", 0, 2)] // A failover between the two questions: most of them decide.
    [InlineData("1@3", 4, 0)] // Only a Sentinel without connection to the others is reachable.
    [InlineData("1@4", 4, 1)]
    [InlineData("1@0 1@0", 4, 1)] // The Sentinels were set up again: two of three agree.
    [InlineData("1@0 2@0", 4, 0)]
    [InlineData("", 0, 0)]
    public void The_newest_report_is_used_and_never_an_older_one_than_before(string reports, long known, int port)
    {
        var all = reports.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(r => r.Split('@'))
            .Select(r => new SentinelReport(new IPEndPoint(IPAddress.Loopback, int.Parse(r[0])), long.Parse(r[1])));
        var chosen = SentinelReport.Choose(all, known, sentinels: 3);
        Assert.Equal(port, (chosen?.Primary as IPEndPoint)?.Port ?? 0);
    }
}
