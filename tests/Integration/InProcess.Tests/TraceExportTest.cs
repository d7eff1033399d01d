using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Failed exports of traces are reported; on a real gateway and a real receiver of OTLP.</summary>
public sealed class TraceExportTest
{
    private const string Failed = "TraceExportFailed", Restored = "TraceExportRestored";
    private const string Metric = "sluice_trace_exports_failed_total";

    [Fact]
    public async Task Failed_exports_are_logged_once_until_one_succeeds_and_all_are_counted()
    {
        using var receiver = new OtlpReceiver { Refuses = true };
        await using var gateway = await InProcessGateway.StartAsync("templates: []\nendpoints: []",
            receiver.Environment(("OTEL_TRACES_SAMPLER", "always_on")));
        await FailAsync(gateway);
        var failed = await gateway.Log.EventAsync(Failed);
        Assert.Equal($"{receiver.Url}/v1/traces", failed["receiver"] + failed["Receiver"]);
        Assert.Single(gateway.Log.Entries, e => e.Is(Failed));
        Assert.DoesNotContain(gateway.Log.Entries, e => e.Is(Restored));

        receiver.Refuses = false;
        await gateway.GetAsync("/api/v1/endpoints");
        var restored = await gateway.Log.EventAsync(Restored);
        Assert.True(int.Parse(restored["Failed"], System.Globalization.CultureInfo.InvariantCulture) >= 3);
        await receiver.SpansAsync(s => s.Name == "GET /api/v1/endpoints", s => s.Count > 0);
        Assert.Equal("sluice-gateway", receiver.Spans[0].Service);

        receiver.Refuses = true;
        await FailAsync(gateway);
        Assert.Equal(2, gateway.Log.Entries.Count(e => e.Is(Failed)));
        Assert.Single(gateway.Log.Entries, e => e.Is(Restored));
    }

    /// <summary>Sends requests until three more exports have failed.</summary>
    private static async Task FailAsync(InProcessGateway gateway)
    {
        var before = await gateway.MetricAsync(Metric);
        await Eventually.HoldsAsync(async () =>
        {
            await gateway.GetAsync("/api/v1/endpoints");
            return await gateway.MetricAsync(Metric) >= before + 3;
        });
    }
}
