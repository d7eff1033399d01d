using Sluice.Domain.Notation;

namespace Sluice.Domain.Declarations;

public sealed class PodApplicationConverter()
    : NamedConverter<PodApplication>(("other", PodApplication.Other), ("jupyter", PodApplication.Jupyter),
        ("code_server", PodApplication.CodeServer));
