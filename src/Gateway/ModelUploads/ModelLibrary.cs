namespace Sluice.Gateway.ModelUploads;

/// <summary>The response to <c>GET /api/v1/models</c>.</summary>
/// <param name="Models">The uploaded models.</param>
/// <param name="Node">The models that the node of this gateway downloaded, complete or not.</param>
public sealed record ModelLibrary(IReadOnlyList<ModelView> Models, IReadOnlyList<NodeModel> Node);

/// <summary>An uploaded model with its versions.</summary>
public sealed record ModelView(string Name, IReadOnlyList<VersionView> Versions);

/// <summary>A model that this node downloaded.</summary>
/// <param name="Source">The declared source; null: the download is not complete.</param>
/// <param name="Revision">The revision at the time of the download, for example a commit.</param>
/// <param name="Bytes">The size of its files.</param>
/// <param name="InUse">Whether a worker uses it, or a download writes it.</param>
/// <param name="UsedAt">When a worker was last started with it.</param>
public sealed record NodeModel(string? Source, string? Revision, long Bytes, bool InUse, DateTimeOffset UsedAt);
