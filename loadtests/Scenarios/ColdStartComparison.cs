namespace Sluice.Scenarios;

/// <summary>
/// Measures the cold starts of <see cref="ColdStart"/> with two builds, with workers as processes. Containers are not
/// compared, because an image contains one build only.
/// </summary>
internal static class ColdStartComparison
{
    public static async Task RunAsync(ScenarioOptions options, CancellationToken ct)
    {
        var comparison = new BuildComparison("cold-start", options);
        await using var before = await ColdStart.StartAsync([], options.Before!.Gateway);
        await using var after = await ColdStart.StartAsync([], PublishedBuild.Current.Gateway);
        await AddTableAsync("process", standby: false, before, after);
        var environment = new Dictionary<string, string?> { ["SLUICE_STANDBY_WORKERS"] = "1" };
        await using var standbyBefore = await ColdStart.StartAsync(environment, options.Before!.Gateway);
        await using var standbyAfter = await ColdStart.StartAsync(environment, PublishedBuild.Current.Gateway);
        await AddTableAsync(ColdStart.Standby, standby: true, standbyBefore, standbyAfter);
        await comparison.WriteAsync(ct);

        async Task AddTableAsync(
            string title,
            bool standby,
            Testing.GatewayProcess old,
            Testing.GatewayProcess current)
        {
            // The first round also warms the gateway and the page cache.
            var rounds = await comparison.RunAsync(
                warmUp: 1,
                async b =>
                {
                    var gateway = b == options.Before ? old : current;
                    if (standby) await ColdStart.StandbyAsync(gateway, ct);
                    return await ColdStart.OnceAsync(gateway, ct);
                },
                ct);
            comparison.AddTable(title);
            comparison.AddRow("request to answer, ms", rounds, r => r.Answered);
            foreach (var stage in rounds.SelectMany(r => r.After.Stages).Select(s => s.Stage).Distinct().ToList())
                comparison.AddRow(stage + ", ms", rounds, r => r.Stages.Where(s => s.Stage == stage).Sum(s => s.Ms));
        }
    }
}
