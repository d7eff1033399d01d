using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Hosting.Processes;
using Sluice.Testing;

namespace Sluice.ControlPlane.Tests.Hosting;

/// <summary>The pool of standby workers, with processes of a shell.</summary>
public sealed class StandbyPoolTest
{
    [Fact]
    public async Task The_event_of_an_ended_standby_worker_has_its_signal()
    {
        var reasons = new Reasons();
        using var pool = new StandbyPool(new StandbySettings(1), _ => Task.FromResult((Start(), NewFolder())),
            TimeProvider.System, reasons);
        Deployment[] declared = [new(new Endpoint { Id = "e", Template = "t" }, new Template { Name = "t" })];
        await Eventually.HoldsAsync(() =>
        {
            pool.Prepare(declared, placed: false);
            return Task.FromResult(reasons.All.Count > 0);
        }, "the end of the process is logged");
        Assert.StartsWith("ended by SIGKILL", reasons.All[0], StringComparison.Ordinal);
    }

    private static Process Start() => Process.Start(new ProcessStartInfo("/bin/sh", ["-c", "kill -9 $$"])
    {
        RedirectStandardInput = true,
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    })!;

    private static WorkFolder NewFolder() => WorkFolder.Create(new HostId("standby-pool-test"));

    /// <summary>Collects the field <c>Why</c> of the events <c>StandbyWorkerEnded</c>.</summary>
    private sealed class Reasons : ILogger
    {
        public List<string> All { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            if (eventId.Name == "StandbyWorkerEnded" && state is IReadOnlyList<KeyValuePair<string, object?>> fields)
                lock (All) All.Add($"{fields.First(f => f.Key == "Why").Value}");
        }
    }
}
