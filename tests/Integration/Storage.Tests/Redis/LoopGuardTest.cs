using System.Reflection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sluice.Storage.Background;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Redis;

/// <summary>Background loops outlive every error.</summary>
public sealed class LoopGuardTest
{
    [Fact]
    public async Task A_loop_that_fails_is_repeated_with_growing_pauses_and_ends_when_it_is_cancelled()
    {
        var time = new ManualTime(DateTimeOffset.UnixEpoch);
        using var stop = new CancellationTokenSource();
        var calls = new List<DateTimeOffset>();
        var running = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var guarded = new LoopGuard("test", time, new Lines()).RunAsync(async ct =>
        {
            calls.Add(time.GetUtcNow());
            if (calls.Count < 4) throw new TimeoutException("Redis is away");
            running.SetResult();
            await Task.Delay(Timeout.InfiniteTimeSpan, time, ct);
        }, stop.Token);
        while (!running.Task.IsCompleted && !guarded.IsCompleted)
        {
            time.Advance(TimeSpan.FromMilliseconds(50));
            await Task.WhenAny(running.Task, Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System));
        }

        await stop.CancelAsync();
        await guarded;
        for (var i = 1; i < calls.Count; i++) Assert.True(calls[i] - calls[i - 1] >= LoopGuard.FirstPause * (1 << (i - 1)), string.Join(", ", calls));
    }

    [Fact]
    public void A_failure_that_repeats_is_logged_once_in_ten_seconds_with_the_number_of_those_between()
    {
        var time = new ManualTime(DateTimeOffset.UnixEpoch);
        var lines = new Lines();
        var log = new FailureLog(time, lines);
        for (var i = 0; i < 1000; i++) log.Report("work", new TimeoutException("no answer"));
        log.Report("other work", new InvalidOperationException("bug"));
        Assert.Equal(2, lines.All.Count);
        Assert.Contains("Unreachable", lines.All[0], StringComparison.Ordinal);
        time.Advance(FailureLog.RepeatAfter);
        log.Report("work", new TimeoutException("no answer"));
        Assert.Contains("999 similar failures", lines.All[2], StringComparison.Ordinal);
    }

    [Fact]
    public void Every_background_service_is_a_guarded_loop()
    {
        foreach (var type in typeof(BackgroundLoop).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(BackgroundService)) && t != typeof(BackgroundLoop)))
            Assert.True(type.IsSubclassOf(typeof(BackgroundLoop)), $"{type} is a BackgroundService; expected a BackgroundLoop, which no exception ends");
        Assert.True(typeof(BackgroundLoop).GetMethod("ExecuteAsync", BindingFlags.NonPublic | BindingFlags.Instance)!.IsFinal);
    }

    private sealed class Lines : ILogger
    {
        public List<string> All { get; } = [];

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            lock (All) All.Add(formatter(state, exception));
        }
    }
}
