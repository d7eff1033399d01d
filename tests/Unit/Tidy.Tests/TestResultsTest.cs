using Sluice.Testing;

namespace Sluice.Tidy.Tests;

/// <summary>Tests what <c>make test</c> reports about a test process, with scripts in place of test programs.</summary>
public sealed class TestResultsTest : IDisposable
{
    private const string WritesResults =
        "echo '<Counters total=\"3\" passed=\"3\" failed=\"0\" notExecuted=\"0\" />' >results/Fake.Tests.trx";

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-results-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task A_process_that_ran_its_tests_is_counted()
    {
        var (code, output) = await RunAsync(WritesResults);

        Assert.Equal("3 passed, 0 failed, 0 skipped", output);
        Assert.Equal(0, code);
    }

    [Theory]
    [InlineData("kill -SEGV $$", "Fake.Tests crashed with SIGSEGV: exit code 139.")]
    [InlineData("exit 0", "Fake.Tests crashed: exit code 0.")]
    [InlineData($"{WritesResults}; exit 7", "Fake.Tests crashed: exit code 7.")]
    [InlineData("exec sleep 1000", "Fake.Tests hung, and was stopped after 1s: exit code 124.")]
    [InlineData($"{WritesResults}; kill -KILL $$", "Fake.Tests was killed: it hung for 1s")]
    [InlineData("rm \"$0\"; exec \"$0\"", "Fake.Tests could not be started")]
    public async Task A_process_that_crashes_or_hangs_is_named_with_its_last_output(string script, string reported)
    {
        var (code, output) = await RunAsync($"echo passed A_test; echo active: The_last_test; {script}");

        Assert.Contains(reported, output, StringComparison.Ordinal);
        Assert.Contains("    active: The_last_test\n", output, StringComparison.Ordinal);
        Assert.DoesNotContain("passed A_test", output, StringComparison.Ordinal);
        Assert.EndsWith(" 0 failed, 0 skipped", output, StringComparison.Ordinal);
        Assert.NotEqual(0, code);
    }

    /// <summary>Runs a script as the test program of a project, and returns the exit code and the summary.</summary>
    private async Task<(int Code, string Output)> RunAsync(string script)
    {
        var program = Path.Combine(folder, "tests/Unit/Fake.Tests/bin/Release/net10.0/Sluice.Fake.Tests");
        Directory.CreateDirectory(Path.GetDirectoryName(program)!);
        Directory.CreateDirectory(Path.Combine(folder, "results"));
        await File.WriteAllTextAsync(program, $"#!/bin/bash\n{script}\n");
        var shell = $"""
            cd {folder} && chmod +x {program} && SLUICE_TEST_LIMIT=1s && . {Repository.Root}/eng/test-results
            run_tests Release results Fake.Tests Fake.Tests -- 2>/dev/null
            summarize results 2>/dev/null
            """;
        await using var bash = new ChildProcess("/bin/bash", ["-c", shell], new Dictionary<string, string?>());
        var code = await bash.ExitAsync();
        return (code, bash.Output);
    }
}
