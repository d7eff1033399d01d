using Sluice.Models.Cache;
using Sluice.Models.Downloads;

namespace Sluice.ControlPlane.Tests.Models;

/// <summary>The decisions of the delivery of models.</summary>
public sealed class ModelDecisionsTest
{
    /// <summary>The store has 10 bytes of the oldest model, 20 of a newer one, and 40 that a worker uses.</summary>
    private static readonly StoreEntry[] Entries =
    [
        new("newer", 20, At(2), InUse: false), new("oldest", 10, At(1), InUse: false), new("held", 40, At(0), true),
    ];

    [Theory]
    [InlineData(30, 100, 100, "")]
    [InlineData(31, 100, 100, "oldest")]
    [InlineData(41, 100, 100, "oldest,newer")]
    [InlineData(60, 100, 100, "oldest,newer")]
    [InlineData(61, 100, 100, null)]
    [InlineData(30, 100, 30, "")]
    [InlineData(30, 100, 20, "oldest")]
    [InlineData(30, 100, 0, "oldest,newer")]
    [InlineData(31, 100, 0, null)]
    public void Models_are_deleted_for_the_limit_and_for_the_disk(long needed, long limit, long free, string? deleted)
    {
        var chosen = EvictionPlan.Choose(Entries, needed, limit, free);
        Assert.Equal(deleted, chosen is null ? null : string.Join(',', chosen));
    }

    [Theory]
    [InlineData(0, null, 250)]
    [InlineData(1, null, 250)]
    [InlineData(3, null, 1000)]
    [InlineData(5, null, 4000)]
    [InlineData(1, 5.0, 5000)]
    [InlineData(1, 600.0, 60000)]
    [InlineData(6, null, null)]
    [InlineData(6, 5.0, null)]
    public void An_attempt_that_received_bytes_starts_the_count_of_retries_again(
        int withoutProgress, double? requested, int? pause) =>
        Assert.Equal(pause, DownloadRetry.Pause(withoutProgress,
            requested is { } seconds ? TimeSpan.FromSeconds(seconds) : null)?.TotalMilliseconds);

    [Theory]
    [InlineData("", "a/b.onnx", true)]
    [InlineData("*.json", "config.json", true)]
    [InlineData("*.json", "a/config.json", false)]
    [InlineData("**.json", "a/config.json", true)]
    [InlineData("onnx/*", "onnx/model.onnx", true)]
    [InlineData("onnx/*", "onnx/a/model.onnx", false)]
    [InlineData("a.b", "axb", false)]
    [InlineData("x,model.onnx", "model.onnx", true)]
    public void Files_are_selected_by_patterns(string patterns, string path, bool selected) =>
        Assert.Equal(selected,
            FileSelection.Selects(patterns.Split(',', StringSplitOptions.RemoveEmptyEntries), path));

    private static DateTimeOffset At(int minute) => new(2026, 1, 1, 0, minute, 0, TimeSpan.Zero);
}
