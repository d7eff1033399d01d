using Sluice.ControlPlane.Machine;
using Sluice.Testing;

namespace Sluice.ControlPlane.Tests.Machine;

/// <summary>A program that examines the machine cannot fill the gateway's memory, and ends with its call.</summary>
public sealed class ProgramRunTest
{
    [Theory]
    [InlineData("")]
    [InlineData(" >&2")]
    public async Task Only_the_start_of_each_stream_is_kept_and_the_rest_is_read(string redirect)
    {
        var script = $"head -c {3 * ProgramRun.MaxOutput} /dev/zero | tr '\\0' x{redirect}; exit 3";
        var run = await ProgramRun.RunAsync("/bin/sh", ["-c", script], "/", CancellationToken.None)
            .WaitAsync(ChildProcess.Patience, TimeProvider.System);
        Assert.Equal(3, run.ExitCode);
        Assert.Equal(ProgramRun.MaxOutput, run.Output.Length + run.Error.Length);
    }

    [Fact]
    public async Task A_cancelled_call_ends_its_program()
    {
        var folder = Directory.CreateTempSubdirectory("sluice-run-").FullName;
        var pid = Path.Combine(folder, "pid");
        using var cancelled = new CancellationTokenSource();
        string[] arguments = ["-c", $"echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 1000"];
        var run = ProgramRun.RunAsync("/bin/sh", arguments, "/", cancelled.Token);
        await Eventually.HoldsAsync(() => File.Exists(pid), "the start of the program");
        var process = $"/proc/{(await File.ReadAllTextAsync(pid)).Trim()}";
        Assert.True(Directory.Exists(process));

        await cancelled.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run);
        await Eventually.HoldsAsync(() => !Directory.Exists(process), "the end of the program");
        Directory.Delete(folder, recursive: true);
    }
}
