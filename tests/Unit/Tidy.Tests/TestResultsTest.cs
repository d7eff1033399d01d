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

    [Theory]
    [InlineData("Passed", "3 passed, 0 failed, 0 skipped, 1 flaky", 0)]
    [InlineData("Failed", "2 passed, 1 failed, 0 skipped", 1)]
    public async Task A_test_that_fails_is_run_a_second_time_and_reported(string second, string totals, int expected)
    {
        var (code, output) = await RunAsync(FailsFirst(second, failures: 1));

        Assert.EndsWith(totals, output, StringComparison.Ordinal);
        Assert.Equal(expected, code);
        Assert.Contains("Failed Fake.Test_1(a: 1)\n    too slow\n", output, StringComparison.Ordinal);
        Assert.Equal(
            second == "Passed",
            output.Contains("Flaky, passed when it ran a second time: Fake.Test_1(a: 1)\n", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Many_failures_are_not_run_a_second_time()
    {
        var (code, output) = await RunAsync(FailsFirst("Passed", failures: 6));

        Assert.EndsWith("2 passed, 6 failed, 0 skipped", output, StringComparison.Ordinal);
        Assert.Equal(1, code);
    }

    /// <summary>A test program with failures, and with another outcome of the first one if it is selected.</summary>
    private static string FailsFirst(string second, int failures)
    {
        var counters = $"<Counters total=\"{failures + 2}\" passed=\"2\" failed=\"{failures}\" notExecuted=\"0\" />";
        return $"""
            if [[ "$*" == *"--filter-method Fake.Test_1"* ]]; then
            echo '{Result(1, second)}' >results/again/Fake.Tests.trx; exit {(second == "Passed" ? 0 : 2)}
            fi
            echo '{string.Concat(Enumerable.Range(1, failures).Select(Failed))}' >results/Fake.Tests.trx
            echo '{counters}' >>results/Fake.Tests.trx; exit 2
            """;

        static string Failed(int number) => Result(number, "Failed");

        static string Result(int number, string outcome) =>
            $"<UnitTestResult testName=\"Fake.Test_{number}(a: 1)\" outcome=\"{outcome}\" >"
            + "<Message>too slow</Message></UnitTestResult>";
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
            run_failed_again Release results >/dev/null 2>&1
            summarize results 2>/dev/null
            """;
        await using var bash = new ChildProcess("/bin/bash", ["-c", shell], new Dictionary<string, string?>());
        var code = await bash.ExitAsync();
        return (code, bash.Output);
    }
}
