using System.Net;
using System.Text;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>A gateway is killed right after its answers, before their usage is in Redis.</summary>
public sealed class UsageFaultsTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    [Fact]
    public async Task The_next_gateway_counts_each_request_of_a_killed_one_once()
    {
        const int starts = 4, each = 50;
        var folder = Directory.CreateTempSubdirectory("sluice-usage-").FullName;
        var environment = new Dictionary<string, string?>
        {
            ["SLUICE_REDIS"] = redis.ConnectionString,
            ["SLUICE_ADMIN_KEY"] = "the-admin-key-of-each-start",
        };
        for (var start = 1; start <= starts; start++)
        {
            await using var gateway = await GatewayProcess.StartAsync(
                start == 1 ? Manifests.With(Manifests.Endpoint("digits")) : null, folder, environment);
            if (start > 1) await gateway.EventAsync("UsageRecovered");
            await Eventually.HoldsAsync(async () => await RequestsAsync(gateway) == (start - 1) * each);
            for (var i = 0; i < each; i++)
            {
                using var infer = new StringContent(
                    GatewayProcess.Example("digits"), Encoding.UTF8, "application/json");
                using var answer = await gateway.Client.PostAsync("/v2/models/digits/infer", infer);
                Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            }

            // A connection begins a request when the one before it has ended, so the last one is recorded now.
            using (await gateway.Client.GetAsync(new Uri("/readyz", UriKind.Relative))) { }
            if (start == starts) await Eventually.HoldsAsync(async () => await RequestsAsync(gateway) == starts * each);
            gateway.Process.Signal(ChildProcess.Sigkill);
            await gateway.Process.ExitAsync();
        }

        Directory.Delete(folder, recursive: true);
    }

    private static async Task<long> RequestsAsync(GatewayProcess gateway) =>
        (await gateway.GetAsync("/api/v1/usage?groupBy=endpoint"))["usage"]!.AsArray().Sum(r => (long)r!["requests"]!);
}
