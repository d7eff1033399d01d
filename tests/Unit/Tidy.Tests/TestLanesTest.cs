using Sluice.Testing;

namespace Sluice.Tidy.Tests;

/// <summary>The lanes of <c>make test</c>, with functions in place of the test programs.</summary>
public sealed class TestLanesTest
{
    [Fact]
    public async Task Each_test_project_runs_in_one_lane_and_the_whole_product_in_parts()
    {
        const string shell = """
            here=eng/none
            run() { echo "$lane $2 $1 ${*:3}"; }
            . eng/test-lanes 2>/dev/null
            for lane in $lanes; do "lane_$lane" 2>/dev/null; done
            """;
        await using var bash = new ChildProcess("/bin/bash", ["-c", shell], new Dictionary<string, string?>());
        Assert.Equal(0, await bash.ExitAsync());
        var runs = bash.Output.Split('\n').Select(l => l.Split(' ', 3)).ToLookup(l => l[1]);

        var projects = Directory.GetDirectories(Path.Combine(Repository.Root, "tests"), "*.Tests",
            new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 1 });
        Assert.Equal(projects.Select(Path.GetFileName).Order(), runs.Select(r => r.Key).Order());
        foreach (var other in runs.Where(r => r.Key != "WholeProduct.Tests")) Assert.Single(other);
        // A part that is excluded from a run is selected by another one.
        string[] parts =
        [
            "leases WholeProduct.Tests-leases --filter-trait Part=leases",
            "faults WholeProduct.Tests-faults --filter-trait Matrix=fault --filter-not-trait Part=webhooks "
                + "--filter-not-trait Part=leases",
            "faults WholeProduct.Tests-webhooks --filter-trait Part=webhooks",
            "product WholeProduct.Tests --filter-not-trait Matrix=fault --filter-not-trait Part=webhooks "
                + "--filter-not-trait Part=leases",
        ];
        Assert.Equal(parts, runs["WholeProduct.Tests"].Select(r => $"{r[0]} {r[2]}"));
    }
}
